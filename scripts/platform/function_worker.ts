/**
 * Entry of the Worker that runs one Edge Function by itself (`start --isolated`).
 * @module
 */
import { installEdgeRuntime } from "./background.ts";
import { importFunction } from "./functions.ts";

const worker = globalThis as unknown as {
  onmessage: (event: MessageEvent<{ folder: string; name: string }>) => void;
  postMessage(message: { url: string } | { error: string }): void;
};

worker.onmessage = async ({ data }) => {
  try {
    installEdgeRuntime();
    const handler = await importFunction(data.folder, data.name);
    Deno.serve({
      hostname: "127.0.0.1",
      port: 0,
      onListen: ({ port }) => worker.postMessage({ url: `http://127.0.0.1:${port}` }),
    }, (request) => {
      const headers = new Headers(request.headers);
      const origin = headers.get("x-marketplace-origin") ?? new URL(request.url).origin;
      headers.delete("x-marketplace-origin");
      const url = new URL(request.url);
      const outer = new URL(url.pathname + url.search, origin);
      return handler(
        new Request(outer, {
          method: request.method,
          headers,
          body: request.body,
          signal: request.signal,
        }),
      );
    });
  } catch (error) {
    worker.postMessage({
      error: error instanceof Error ? error.stack ?? error.message : `${error}`,
    });
  }
};
