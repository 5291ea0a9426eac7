/**
 * `deno task catalogue:check`: whether the gateway can run every row of the catalogue.
 * @module
 */
import { parseArgs } from "node:util";
import type { Catalogue } from "./catalogue/rows.ts";
import { loadCatalogue } from "./catalogue/rows.ts";
import { type CatalogueFault, findFaults } from "./catalogue/rules.ts";
import { runCommand, showHelp } from "./platform/command.ts";
import { databaseUrl } from "./platform/database_url.ts";

const HELP = `
Usage: deno task catalogue:check [--db-url URL] [providers…]

Checks each provider and action of the catalogue: schemas and transforms compile, every parameter
has one place, pages end, handlers exist, credentials are declared. Names every fault with its remedy
and ends with 1 when there is one.

  providers    only these slugs
  --db-url     a migrated database; default: the running stack's`;

await runCommand(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { "db-url": { type: "string" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help) showHelp(HELP);

  const catalogue = choose(await loadCatalogue(await databaseUrl(values["db-url"])), positionals);
  const faults = await findFaults(catalogue);
  console.log(table(catalogue, faults));
  for (const { subject, rule, message } of faults) console.log(`${subject}  ${rule}: ${message}`);
  const { providers, actions } = catalogue;
  console.log(`${providers.length} providers, ${actions.length} actions, ${faults.length} faults`);
  return faults.length > 0 ? 1 : 0;
});

function choose(all: Catalogue, slugs: string[]): Catalogue {
  if (slugs.length === 0) return all;
  for (const slug of slugs) {
    if (all.providers.some((provider) => provider.slug === slug)) continue;
    throw new Error(`Provider ${slug} is not in the catalogue; register_provider adds it.`);
  }
  return {
    providers: all.providers.filter(({ slug }) => slugs.includes(slug)),
    actions: all.actions.filter(({ provider_slug }) => slugs.includes(provider_slug)),
  };
}

function table({ providers, actions }: Catalogue, faults: CatalogueFault[]): string {
  const heading = ["provider", "actions", "reads", "writes", "paged", "handlers", "faults"];
  const rows = providers.map(({ slug }) => {
    const own = actions.filter(({ provider_slug }) => provider_slug === slug);
    const reads = own.filter(({ is_read_only }) => is_read_only).length;
    return [
      slug,
      own.length,
      reads,
      own.length - reads,
      own.filter(({ pagination }) => "style" in pagination).length,
      own.filter(({ handler }) => handler !== null).length,
      faults.filter(({ subject }) => subject === slug || subject.startsWith(`${slug}/`)).length,
    ].map(String);
  });
  const lines = [heading, ...rows];
  const widths = heading.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines.map((line) =>
    line.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]! + 2)
    ).join("")
  ).join("\n");
}
