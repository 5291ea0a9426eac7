/** `mp catalogue`: whether the gateway can run what the catalogue lists. */
import type { Command } from "@commander-js/extra-typings";
import { UsageError } from "../errors.ts";
import { cell, paint } from "../output.ts";
import { inSession } from "../session.ts";

/** Adds the commands. */
export function addCatalogue(program: Command): void {
  const group = program.command("catalogue").description("providers and their actions");

  group.command("check")
    .description("schemas compile, parameters have a place, …; 1 when there is a fault")
    .argument("[providers...]", "only these (default: all)")
    .addHelpText(
      "after",
      "\nExamples:\n  mp catalogue check\n  mp catalogue check github slack --json",
    )
    .action((names, _options, command) =>
      inSession(command, async ({ out, place }) => {
        const [{ loadCatalogue }, { findFaults }] = await Promise.all([
          import("../../catalogue/rows.ts"),
          import("../../catalogue/rules.ts"),
        ]);
        const all = await loadCatalogue(place.dbUrl);
        const slugs = names.map((name) => name.replaceAll("-", "_"));
        const unknown = slugs.find((slug) => !all.providers.some((each) => each.slug === slug));
        if (unknown) throw new UsageError(`Provider ${unknown} is not in the catalogue.`);
        const isChosen = (slug: string) => slugs.length === 0 || slugs.includes(slug);
        const catalogue = {
          providers: all.providers.filter(({ slug }) => isChosen(slug)),
          actions: all.actions.filter(({ provider_slug }) => isChosen(provider_slug)),
        };
        const faults = await findFaults(catalogue);
        const rows = catalogue.providers.map(({ slug }) => {
          const actions = catalogue.actions.filter(({ provider_slug }) => provider_slug === slug);
          return {
            provider: slug,
            actions: actions.length,
            reads: actions.filter(({ is_read_only }) => is_read_only).length,
            faults: faults.filter(({ subject }) => subject.split("/")[0] === slug).length,
          };
        });
        if (out.json) out.document({ providers: rows, faults });
        else {
          out.table(rows, [
            { title: "provider", value: (row) => row.provider },
            { title: "actions", value: (row) => row.actions, align: "right" },
            { title: "reads", value: (row) => row.reads, align: "right" },
            {
              title: "faults",
              value: (row) => row.faults,
              align: "right",
              colour: (text, row) => row.faults > 0 ? paint.red(text) : text,
            },
          ], "The catalogue is empty.");
          for (const { subject, rule, message } of faults) {
            out.line(`${paint.bold(cell(subject))}  ${rule}: ${cell(message)}`);
          }
        }
        return faults.length > 0 ? 1 : 0;
      })
    );
}
