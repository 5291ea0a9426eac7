/**
 * `deno task start`: brings up the local platform and keeps it running until Ctrl-C.
 * @module
 */
import { parseArgs } from "node:util";
import { startStack } from "./platform/mod.ts";

const HELP = `Usage: deno task start [--no-n8n] [--isolated]

Starts Postgres, the Data API, Auth, the Edge Functions, the provider sandbox and n8n on this
machine's loopback address, and runs until Ctrl-C or "deno task stop".

  --no-n8n     without n8n
  --isolated   each function in a Worker of its own, as hosted isolates them

MARKETPLACE_PORT   base port (default 24960; the five above it are used too)
MARKETPLACE_HOME   state folder (default .local); its file "env" says how to reach everything
MARKETPLACE_TOOLS  folder of shared downloads (default .local/tools)
`;

const { values } = parseArgs({
  options: {
    "no-n8n": { type: "boolean", default: false },
    isolated: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  console.log(HELP);
  Deno.exit(0);
}

const abort = new AbortController();
let running: { stop(): Promise<void> } | null = null;
let firstSignalAt = 0;
const onSignal = async () => {
  // One Ctrl-C can arrive twice, from the terminal and passed on by `deno task`. A later one means
  // that somebody does not want to wait any more.
  if (firstSignalAt && Date.now() - firstSignalAt > 1000) Deno.exit(130);
  if (firstSignalAt) return;
  firstSignalAt = Date.now();
  abort.abort(new Error("stopped while starting"));
  if (!running) return;
  console.log("stopping");
  await running.stop();
  Deno.exit(0);
};
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.addSignalListener(signal, () => void onSignal());
}

const began = performance.now();
try {
  running = await startStack({
    n8n: !values["no-n8n"],
    isolated: values.isolated,
    note: (line) => console.log(line),
    signal: abort.signal,
  });
} catch (error) {
  if (!abort.signal.aborted) console.error(error instanceof Error ? error.message : error);
  Deno.exit(abort.signal.aborted ? 130 : 1);
}
const stack = running as Awaited<ReturnType<typeof startStack>>;
console.log(`ready in ${((performance.now() - began) / 1000).toFixed(1)} s (pid ${Deno.pid})

  database     ${stack.env.SUPABASE_DB_URL}
  webhooks     ${stack.env.MARKETPLACE_FUNCTIONS_URL}/marketplace-webhook/<provider>
  environment  ${stack.layout.envFile}
  logs         ${stack.layout.logs}
  stop         Ctrl-C, or deno task stop`);
