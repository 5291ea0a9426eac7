import { SandboxClient } from "./client.ts";
import { type RunningSandbox, startSandbox } from "./mod.ts";

/**
 * Gives a test file a sandbox of its own on free ports: emptied before each test, stopped after
 * the last. Call it once, at the top of the file.
 */
export function useSandbox(): RunningSandbox & { control: SandboxClient } {
  const sandbox = startSandbox({ port: 0, s3Port: 0 });
  const control = new SandboxClient(sandbox.url);
  Deno.test.beforeEach(() => control.reset());
  Deno.test.afterAll(() => sandbox.stop());
  return { ...sandbox, control };
}

/** A request that a {@linkcode Receiver} got. */
export interface ReceivedRequest {
  path: string;
  headers: Record<string, string>;
  body: string;
}

/** A subscriber of pushes. */
export interface Receiver {
  url: string;
  received: ReceivedRequest[];
  /** Answers the next requests with these statuses, all later ones with 204. */
  answer(...statuses: number[]): void;
  /** Waits until so many requests have come. @throws when they do not within ten seconds */
  until(count: number): Promise<ReceivedRequest[]>;
}

/** Gives a test file a subscriber on a free port: forgetful before each test, stopped after the last. */
export function useReceiver(): Receiver {
  const received: ReceivedRequest[] = [];
  let statuses: number[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const { pathname, search } = new URL(request.url);
      const body = await request.text();
      received.push({
        path: pathname + search,
        headers: Object.fromEntries(request.headers),
        body,
      });
      return new Response(null, { status: statuses.shift() ?? 204 });
    },
  );
  Deno.test.beforeEach(() => {
    received.length = 0;
    statuses = [];
  });
  Deno.test.afterAll(() => server.shutdown());
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    received,
    answer: (...wanted) => void (statuses = wanted),
    async until(count) {
      for (let waited = 0; received.length < count; waited += 5) {
        if (waited > 10_000) throw new Error(`${received.length} of ${count} requests have come.`);
        await new Promise((done) => setTimeout(done, 5));
      }
      return received;
    },
  };
}
