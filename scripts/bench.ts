/**
 * `deno task bench`: the product's figures, each next to a baseline in the same run.
 * @module
 */
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import type { Bench, Figure, Table } from "./bench/harness/figure.ts";
import { renderTable } from "./bench/harness/report.ts";
import { type Place, withPlace } from "./bench/harness/stack.ts";
import { runCommand, showHelp } from "./platform/command.ts";

const HELP = `
Usage: deno task bench [--quick] [--json] [--minutes N] [names…]

Measures on a fresh stack of its own for each figure, in interleaved rounds, and counts afterwards
whether everything that was measured also happened. Without names all figures run, one after another.

  --quick      fewer and shorter rounds: shows that it runs, not how fast it is
  --json       prints one JSON document at the end instead of tables
  --minutes N  length of the soak (default 10)
  --list       lists the figures`;

await runCommand(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      minutes: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const figures = await loadFigures();
  const list = figures.map(([name, { title }]) => `  ${name.padEnd(11)}  ${title}`).join("\n");
  if (values.help) showHelp(`${HELP.trim()}\n\n${list}`);
  if (values.list) showHelp(list);
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes);
  if (minutes !== undefined && !(minutes > 0)) {
    throw new Error(`--minutes is "${values.minutes}": give a number above 0.`);
  }
  const unknown = positionals.filter((name) => !figures.some(([known]) => known === name));
  if (unknown.length > 0) throw new Error(`There is no figure ${unknown.join(", ")}:\n${list}`);
  const chosen = figures.filter(([name]) => positionals.length === 0 || positionals.includes(name));

  const abort = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => abort.abort(new Error("interrupted")));
  }
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, ` +
    `${Math.round(totalmem() / 2 ** 30)} GB, ${Deno.build.os}, deno ${Deno.version.deno}`;
  if (!values.json) console.log(`${machine}\n`);

  const results: { name: string; tables: Table[] }[] = [];
  for (const [name, figure] of chosen) {
    const tables = await measure(figure, {
      quick: values.quick,
      options: { minutes },
      // Beside the tables: `--json` keeps standard output for the document.
      note: (line) => console.error(`${name.padEnd(11)} ${line}`),
      signal: abort.signal,
    });
    results.push({ name, tables });
    if (!values.json) { for (const table of tables) console.log(`\n${renderTable(table)}`); }
  }
  if (values.json) {
    const load = Deno.loadavg()[0];
    console.log(JSON.stringify({ machine, load, quick: values.quick, figures: results }, null, 2));
  }
  const tables = results.flatMap((result) => result.tables);
  const isRight = tables.every(({ checks }) => checks.every((c) => c.expected === c.found));
  // A target that is missed is news about the machine as well: only what is wrong fails.
  return isRight ? 0 : 1;
});

/** Every file beside the harness, by name, in the order of their numbers. */
async function loadFigures(): Promise<[string, Figure][]> {
  const found: [string, Figure][] = [];
  const folder = new URL("./bench/", import.meta.url);
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (!isFile || !name.endsWith(".ts") || name.endsWith("_test.ts")) continue;
    const url = new URL(name, folder);
    // Looked at before it is run: a script that stands there alone is no figure.
    if (!/^export const figure\b/m.test(await Deno.readTextFile(url))) continue;
    const { figure } = await import(url.href);
    found.push([name.replace(/\.ts$/, ""), figure]);
  }
  return found.sort(([, a], [, b]) => a.number - b.number);
}

async function measure(figure: Figure, bench: Omit<Bench, "place">): Promise<Table[]> {
  bench.signal.throwIfAborted();
  if (figure.stack === false) {
    return await figure.run({
      ...bench,
      get place(): Place {
        throw new Error("This figure asked for no stack.");
      },
    });
  }
  return await withPlace(
    { ...figure.stack, note: bench.note, signal: bench.signal },
    (place) => figure.run({ ...bench, place }),
  );
}
