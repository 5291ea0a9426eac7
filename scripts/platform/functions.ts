/**
 * Finding, loading and calling Edge Functions as hosted does.
 * @module
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { sleep } from "./processes.ts";

/** Answers one request. */
export type Handler = (request: Request) => Response | Promise<Response>;

/** Names of the functions below a folder: every folder with an `index.ts`, but `_shared`. */
export function listFunctions(folder: string): string[] {
  return [...Deno.readDirSync(folder)]
    .filter((entry) => entry.isDirectory && !entry.name.startsWith("_"))
    .map((entry) => entry.name)
    .filter((name) => {
      try {
        return Deno.statSync(join(folder, name, "index.ts")).isFile;
      } catch {
        return false;
      }
    })
    .sort();
}

/**
 * Imports a function's entry file.
 * @throws {Error} when it does not `export default { fetch }`
 */
export async function importFunction(folder: string, name: string): Promise<Handler> {
  const entry = await import(pathToFileURL(join(folder, name, "index.ts")).href);
  if (typeof entry.default?.fetch !== "function") {
    throw new Error(`supabase/functions/${name}/index.ts does not "export default { fetch }".`);
  }
  return (request) => entry.default.fetch(request);
}

/** The error bodies of hosted's function gateway. */
export const gatewayError = (status: number, code: string, message: string): Response =>
  Response.json({ code, message }, { status, headers: { "access-control-allow-origin": "*" } });

/** Hosted's answer for a function that cannot be loaded; the reason stands in the log only. */
function bootError(name: string, error: unknown): Response {
  console.error(`function ${name} failed to boot:`, error);
  return gatewayError(503, "BOOT_ERROR", "Function failed to start (please check logs)");
}

/** Wraps a function that is still loading: requests wait for it. */
export function bootable(name: string, loading: Promise<Handler>): Handler {
  const booted = loading.catch((error): Handler => () => bootError(name, error));
  return async (request) => {
    const handler = await booted;
    try {
      return await handler(request);
    } catch (error) {
      console.error(`function ${name} threw:`, error);
      return gatewayError(500, "WORKER_ERROR", "Function exited due to an error");
    }
  };
}

/**
 * Runs a function in a Worker of its own: no module state, global or import is shared with another
 * function, as on hosted. A worker that dies is replaced at the next request.
 */
export function isolatedFunction(folder: string, name: string): Handler {
  let address: Promise<string> | null = null;

  const boot = (): Promise<string> => {
    const worker = new Worker(new URL("./function_worker.ts", import.meta.url), {
      type: "module",
      name,
    });
    const listening = new Promise<string>((ready, failed) => {
      worker.onmessage = (event) =>
        event.data.url ? ready(event.data.url) : failed(new Error(event.data.error));
      worker.onerror = (event) => {
        event.preventDefault();
        console.error(`function ${name}: its worker died: ${event.message}`);
        address = null;
        failed(new Error(event.message));
      };
    });
    worker.postMessage({ folder, name });
    listening.catch(() => worker.terminate());
    return listening;
  };

  return async (request) => {
    const inner = new URL(request.url);
    try {
      inner.host = new URL(await (address ??= boot())).host;
    } catch (error) {
      address = null;
      return bootError(name, error);
    }
    const headers = new Headers(request.headers);
    headers.set("x-marketplace-origin", new URL(request.url).origin);
    headers.set("accept-encoding", "identity");
    return await fetch(inner, {
      method: request.method,
      headers,
      body: request.body,
      redirect: "manual",
      signal: request.signal,
    });
  };
}

/** Loads every function below a folder, each as soon as it can, none waited for. */
export function loadFunctions(folder: string, isolated: boolean): Map<string, Handler> {
  return new Map(
    listFunctions(folder).map((name) => {
      if (isolated) return [name, bootable(name, Promise.resolve(isolatedFunction(folder, name)))];
      // After the current turn, so that the gateway answers for the others meanwhile.
      return [name, bootable(name, sleep(0).then(() => importFunction(folder, name)))];
    }),
  );
}
