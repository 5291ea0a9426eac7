/**
 * The edge process: functions, Data API and Auth on the base port. A child of the supervisor, which
 * starts another one when this one dies; it ends by itself when the supervisor is gone.
 *
 * Arguments: `--port <n> --db-url <url of supabase_lite> --functions <folder> [--isolated]`
 * @module
 */
import { format, parseArgs } from "node:util";
import { installEdgeRuntime, settleBackground } from "./background.ts";
import { loadFunctions } from "./functions.ts";
import { createGateway } from "./gateway.ts";
import { startDataApi } from "./lite.ts";

/** How long a line of information may wait for others, in milliseconds. */
const LOG_GATHER_MS = 20;

const { values } = parseArgs({
  args: Deno.args,
  options: {
    port: { type: "string" },
    "db-url": { type: "string" },
    functions: { type: "string" },
    isolated: { type: "boolean", default: false },
  },
});
const port = Number(values.port);
const flushLog = gatherLog();

installEdgeRuntime();
const dataApi = startDataApi({
  url: values["db-url"]!,
  siteUrl: `http://127.0.0.1:${port}`,
  schemas: ["public", "marketplace"],
});
const gateway = createGateway(
  loadFunctions(values.functions!, values.isolated),
  (request) => dataApi.fetch(request),
);
const server = Deno.serve(
  // The supervisor waits for this line.
  { hostname: "127.0.0.1", port, onListen: () => console.log("listening") },
  (request, info) => gateway(request, info.remoteAddr.hostname),
);

/** Ends in order: no new requests, running ones and background work get a few seconds. */
async function shutDown(): Promise<never> {
  await Promise.race([server.shutdown(), new Promise((done) => setTimeout(done, 3000))]);
  await settleBackground(3000);
  await dataApi.close().catch(() => {});
  flushLog();
  Deno.exit(0);
}

/**
 * Writes what is logged for information by the handful: alone, each line would be a system call here
 * and another in the supervisor. Warnings and errors are written at once, behind what came before.
 * @returns writes what has gathered
 */
function gatherLog(): () => void {
  const encoder = new TextEncoder();
  let text = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    const bytes = encoder.encode(text);
    text = "";
    for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
  };
  console.log = console.info = (...data) => {
    text += `${format(...data)}\n`;
    timer ??= setTimeout(flush, LOG_GATHER_MS);
  };
  for (const level of ["warn", "error"] as const) {
    const write = console[level];
    console[level] = (...data) => {
      flush();
      write(...data);
    };
  }
  return flush;
}

Deno.addSignalListener("SIGTERM", () => void shutDown());
// The supervisor holds the other end of standard input: its end, however it came, is ours.
for await (const _ of Deno.stdin.readable) { /* nothing is sent */ }
await shutDown();
