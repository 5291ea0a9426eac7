/**
 * Runs the provider sandbox alone: `deno run -A scripts/sandbox/main.ts [port] [s3 port]`.
 * Without arguments it takes the ports of the local platform, `MARKETPLACE_PORT` + 2 and + 3.
 */
import { startSandbox } from "./mod.ts";

const base = Number(Deno.env.get("MARKETPLACE_PORT") ?? 24960);
const port = Number(Deno.args[0] ?? base + 2);
const sandbox = startSandbox({ port, s3Port: Number(Deno.args[1] ?? port + 1) });
console.log(
  `providers ${sandbox.url}/{github,google,jira,linear,nocodb,odoo,slack,_control}\nS3        ${sandbox.s3Url}`,
);

const stop = () => void sandbox.stop().then(() => Deno.exit(0));
Deno.addSignalListener("SIGINT", stop);
if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", stop);
