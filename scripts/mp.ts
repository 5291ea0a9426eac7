/**
 * `deno task mp`: looks after a Marketplace from a terminal.
 * @module
 */
import { runProgram } from "./mp/program.ts";

if (import.meta.main) Deno.exit(await runProgram(Deno.args));
