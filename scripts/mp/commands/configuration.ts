/** `mp export` and `mp import`: all configuration as one reviewed file. */
import type { Command } from "@commander-js/extra-typings";
import { UsageError } from "../errors.ts";
import { cell, type Output, paint } from "../output.ts";
import { inSession } from "../session.ts";
import type { Change } from "../configuration.ts";

/** Adds the commands. */
export function addConfiguration(program: Command): void {
  program.command("export")
    .description("all configuration as one JSON file, sorted, without secrets")
    .argument("[file]", "where to (default: standard output)")
    .addHelpText(
      "after",
      "\nOrganizations, integrations, workflows, rules, notification endpoints and retention.\n" +
        '\nExamples:\n  mp export marketplace.json\n  mp --db-url "$DB_URL" export > hosted.json',
    )
    .action((file, _options, command) =>
      inSession(command, async ({ out, sql }) => {
        const { readConfiguration } = await import("../configuration.ts");
        const configuration = await readConfiguration(sql);
        const text = JSON.stringify(configuration, null, 2);
        if (!file) return out.line(text);
        await Deno.writeTextFile(file, `${text}\n`);
        const { integrations, workflows, rules } = configuration;
        out.done(
          `${file}: ${integrations.length} integrations, ${workflows.length} workflows, ${rules.length} rules.`,
          {
            file,
            integrations: integrations.length,
            workflows: workflows.length,
            rules: rules.length,
          },
        );
      })
    );

  program.command("import")
    .description("bring an exported file's configuration in; nothing is removed")
    .argument("<file>", "as mp export writes it")
    .option("--dry-run", "only show what would change; 1 when something would")
    .addHelpText(
      "after",
      "\nAll or nothing, and a second time changes nothing. Secrets are stored afterwards:\n" +
        "mp doctor names those that are missing.\n" +
        "\nExamples:\n  mp import marketplace.json --dry-run\n  mp import marketplace.json",
    )
    .action((file, { dryRun = false }, command) =>
      inSession(command, async ({ out, sql }) => {
        const { applyChanges, compareConfigurations, onlyIn, readConfiguration } = await import(
          "../configuration.ts"
        );
        const wanted = await readFile(file);
        const current = await readConfiguration(sql);
        const changes = compareConfigurations(current, wanted);
        const untouched = onlyIn(current, wanted);
        const secrets = dryRun || changes.length === 0
          ? []
          : await applyChanges(sql, changes, wanted);
        if (out.json) {
          out.document({ changes, only_here: untouched, secrets, dry_run: dryRun });
        } else {
          report(out, changes);
          if (untouched.length > 0) out.line(paint.dim(`left alone: ${cell(untouched)}`));
          for (const { url, signing_secret } of secrets) {
            out.line(`signing secret of ${cell(url)}, shown this once: ${signing_secret}`);
          }
          const count = changes.length === 1 ? "1 change" : `${changes.length} changes`;
          out.line(
            changes.length === 0
              ? "Nothing to do: it is as the file says."
              : dryRun
              ? `It would make ${count}.`
              : `${count} made.`,
          );
        }
        return dryRun && changes.length > 0 ? 1 : 0;
      })
    );
}

async function readFile(file: string) {
  const { Configuration, refuseDuplicates } = await import("../configuration.ts");
  let json: unknown;
  try {
    json = JSON.parse(await Deno.readTextFile(file));
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as Error).message}`);
  }
  const parsed = Configuration.safeParse(json);
  if (!parsed.success) {
    const faults = parsed.error.issues.slice(0, 5)
      .map(({ path, message }) => `  ${path.join(".") || "the document"}: ${message}`);
    throw new UsageError(`${file} is not as mp export writes it:\n${faults.join("\n")}`);
  }
  refuseDuplicates(parsed.data);
  return parsed.data;
}

function report(out: Output, changes: readonly Change[]): void {
  for (const { list, key, kind, fields } of changes) {
    const mark = kind === "create" ? paint.green("+") : paint.yellow("~");
    out.line(`${mark} ${list}  ${cell(key)}`);
    if (kind === "create") continue;
    for (const [name, { from, to }] of Object.entries(fields)) {
      out.line(`    ${name}: ${paint.red(cell(from))} → ${paint.green(cell(to))}`);
    }
  }
}
