/**
 * Imports one module in a fresh process and says what that took.
 *
 * Argument: the module's URL
 * @module
 */
import { usageOf } from "./processes.ts";

const before = await usageOf(Deno.pid);
const cpuBefore = process.cpuUsage();
const began = performance.now();
const { default: entry } = await import(Deno.args[0]!);
const importMs = performance.now() - began;
const { user, system } = process.cpuUsage(cpuBefore);
const { rssMb } = await usageOf(Deno.pid);
if (typeof entry?.fetch !== "function") throw new Error(`${Deno.args[0]} exports no fetch.`);
console.log(JSON.stringify({
  cpu_ms: (user + system) / 1000,
  wall_ms: importMs,
  rss_mb: rssMb,
  runtime_mb: before.rssMb,
}));
Deno.exit(0);
