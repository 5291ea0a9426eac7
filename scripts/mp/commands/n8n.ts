/** `mp n8n`: the repository's workflows and an n8n's, brought together. */
import type { Command } from "@commander-js/extra-typings";
import { join } from "node:path";
import {
  compareWorkflows,
  contains,
  type LiveWorkflow,
  liveWorkflows,
} from "../../deploy/workflows.ts";
import { stripWorkflow } from "../../lint_workflows.ts";
import {
  importWorkflows,
  readWorkflows,
  type WorkflowFile,
  WORKFLOWS_DIR,
} from "../../n8n/import.ts";
import { UsageError } from "../errors.ts";
import { withN8n } from "../n8n_access.ts";
import { paint } from "../output.ts";
import { inSession } from "../session.ts";

const ACCESS = `
N8N_URL and N8N_API_KEY say where; of the local stack the owner's account is used.`;

/** How one workflow compares. */
interface Comparison {
  workflow: string;
  state: "same" | "different" | "missing" | "not published" | "only in n8n";
  /** Names of the nodes that differ. */
  nodes: string[];
}

/** Adds the commands. */
export function addN8n(program: Command): void {
  const group = program.command("n8n").description("workflows in n8n/workflows and in n8n");

  group.command("diff")
    .description("how n8n's workflows differ from the files; 1 when they do")
    .addHelpText("after", `${ACCESS}\n\nExamples:\n  mp n8n diff`)
    .action((_options, command) =>
      inSession(command, async ({ out, place }) => {
        const comparisons = compare(await readWorkflows(), await withN8n(place, liveWorkflows));
        out.table(comparisons, [
          { title: "workflow", value: (row) => row.workflow, isFlexible: true },
          {
            title: "state",
            value: (row) => row.state,
            colour: (text, { state }) => state === "same" ? paint.green(text) : paint.yellow(text),
          },
          { title: "nodes", value: (row) => row.nodes, isFlexible: true },
        ], "There are no workflows.");
        return comparisons.every(({ state }) => ["same", "only in n8n"].includes(state)) ? 0 : 1;
      })
    );

  group.command("push")
    .description("bring the files to n8n, published, with the credentials they need")
    .argument("[names...]", "only these (default: all)")
    .option("--dry-run", "only say which would change")
    .addHelpText(
      "after",
      `${ACCESS}\n\nExamples:\n  mp n8n push\n  mp n8n push github-artifacts-mirror --dry-run`,
    )
    .action((names, { dryRun = false }, command) =>
      inSession(command, async ({ out, sql, place }) => {
        const workflows = choose(await readWorkflows(), names);
        const pushed = await withN8n(place, async (n8n) => {
          const there = await liveWorkflows(n8n);
          const pending = compareWorkflows(workflows, there).filter(({ state }) =>
            state !== "same"
          );
          const changed = workflows.filter(({ name }) =>
            pending.some((item) => item.name === name)
          );
          if (!dryRun) {
            // The signing key goes along even when no workflow changes: it may have.
            const [row] = await sql<{ secret: string }[]>`
              select marketplace.dispatch_settings() ->> 'signing_secret' as secret`;
            await importWorkflows({
              url: n8n.url,
              apiKey: n8n.apiKey,
              executionsKey: await n8n.executionsKey?.(),
              signingSecret: row!.secret,
              workflows: changed,
            });
          }
          return changed.map(({ name }) => name);
        });
        out.done(
          pushed.length === 0
            ? "n8n has every workflow as it is."
            : `${dryRun ? "It would publish" : "Published"} ${pushed.join(", ")}.`,
          { workflows: pushed, dry_run: dryRun },
        );
      })
    );

  group.command("pull")
    .description("write n8n's workflows into n8n/workflows, in their committed form")
    .argument("[names...]", "only these (default: those there are files of)")
    .option("--dry-run", "only say which would change")
    .addHelpText(
      "after",
      `${ACCESS}\n\nExamples:\n  mp n8n pull github-artifacts-mirror\n  git diff n8n/workflows`,
    )
    .action((names, { dryRun = false }, command) =>
      inSession(command, async ({ out, place }) => {
        const there = (await withN8n(place, liveWorkflows)).filter(({ isArchived }) => !isArchived);
        const wanted = names.length > 0 ? names : (await readWorkflows()).map(({ name }) => name);
        const written: string[] = [];
        for (const name of wanted) {
          const live = there.find((each) => each.name === name);
          if (!live) {
            throw new UsageError(
              `n8n has no workflow ${name}: it has ${there.map((each) => each.name).join(", ")}.`,
            );
          }
          if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) {
            throw new UsageError(
              `"${name}" is no file name: rename the workflow in n8n, as in my-workflow.`,
            );
          }
          const file = join(WORKFLOWS_DIR, `${name}.json`);
          const text = stripWorkflow(name, live as unknown as Parameters<typeof stripWorkflow>[1]);
          if (await Deno.readTextFile(file).catch(() => "") === text) continue;
          if (!dryRun) await Deno.writeTextFile(file, text);
          written.push(`n8n/workflows/${name}.json`);
        }
        out.done(
          written.length === 0
            ? "The files are as n8n has them."
            : `${dryRun ? "It would write" : "Wrote"} ${
              written.join(", ")
            }; then: deno task workflows:check`,
          { files: written, dry_run: dryRun },
        );
      })
    );
}

function choose(workflows: WorkflowFile[], names: string[]): WorkflowFile[] {
  const unknown = names.find((name) => !workflows.some((each) => each.name === name));
  if (unknown) {
    throw new UsageError(
      `There is no workflow ${unknown}: there are ${workflows.map(({ name }) => name).join(", ")}.`,
    );
  }
  return names.length > 0 ? workflows.filter(({ name }) => names.includes(name)) : workflows;
}

function compare(files: WorkflowFile[], there: LiveWorkflow[]): Comparison[] {
  const live = there.filter(({ isArchived }) => !isArchived);
  const rows = compareWorkflows(files, live).map(({ name, state, note }, at): Comparison => ({
    workflow: name,
    state: state === "same"
      ? "same"
      : state === "new"
      ? "missing"
      : note === "not published"
      ? "not published"
      : "different",
    nodes: state === "changed" && !note
      ? differingNodes(files[at]!.nodes, live.find((each) => each.name === name)!.nodes)
      : [],
  }));
  const others = live.filter(({ name }) => !files.some((file) => file.name === name));
  return [
    ...rows,
    ...others.map(({ name }) => ({ workflow: name, state: "only in n8n" as const, nodes: [] })),
  ];
}

function differingNodes(wanted: readonly object[], live: readonly object[]): string[] {
  const nameOf = (node: object) => (node as { name: string }).name;
  const bare = ({ credentials: _, ...node }: Record<string, unknown>) => node;
  const names = new Set([...wanted, ...live].map(nameOf));
  return [...names].filter((name) => {
    const [a, b] = [wanted, live].map((nodes) => nodes.find((node) => nameOf(node) === name));
    return !a || !b || !contains(bare(b as never), bare(a as never));
  });
}
