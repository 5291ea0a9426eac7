/**
 * The edge process: functions, Data API and Auth on the base port. A child of the supervisor, which
 * starts another one when this one dies; it ends by itself when the supervisor is gone.
 *
 * Arguments: `--port <n> --db-url <url of supabase_lite> --functions <folder> [--isolated]`
 * @module
 */
import { parseArgs } from "node:util";
import { installEdgeRuntime, settleBackground } from "./background.ts";
import { loadFunctions } from "./functions.ts";
import { createGateway } from "./gateway.ts";
import { startDataApi } from "./lite.ts";

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
  Deno.exit(0);
}

Deno.addSignalListener("SIGTERM", () => void shutDown());
// The supervisor holds the other end of standard input: its end, however it came, is ours.
for await (const _ of Deno.stdin.readable) { /* nothing is sent */ }
await shutDown();
