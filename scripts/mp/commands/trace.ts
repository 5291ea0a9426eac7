/** `mp trace`: the whole story of one delivery. */
import type { Command } from "@commander-js/extra-typings";
import { describeStep } from "../../demo/timeline.ts";
import type { Step } from "../../demo/scenario.ts";
import { idRange, isIdPrefix } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import { cell, paint, time } from "../output.ts";
import { inSession, type Sql } from "../session.ts";

/** Adds the command. */
export function addTrace(program: Command): void {
  program.command("trace")
    .description("the whole story of one delivery, in order")
    .argument("<id>", "correlation id, event id, job id or the provider's delivery id")
    .addHelpText(
      "after",
      "\nExamples:\n  mp trace 4f0c2a9e\n  mp trace 72d3162e-cc78-11e3-81ab-4c9367dc0958 --json",
    )
    .action((id, _options, command) =>
      inSession(command, async ({ out, sql }) => {
        const correlationId = await findCorrelation(sql, id);
        const steps = await sql<Step[]>`select * from marketplace.trace(${correlationId}::uuid)`;
        if (out.json) return out.document({ correlation_id: correlationId, steps });
        const began = steps[0]?.at;
        if (!began) {
          out.line(`Nothing is left of ${correlationId}: its events and jobs have been dropped.`);
          return 1;
        }
        out.line(`${paint.bold(correlationId)}  ${paint.dim(time(began))}\n`);
        for (const step of steps) out.line(describeStep(printable(step), began));
      })
    );
}

/** A step whose texts cannot steer a terminal. */
function printable(step: Step): Step {
  const detail = Object.entries(step.detail).map(([name, value]) =>
    [name, typeof value === "string" ? cell(value) : value] as const
  );
  return { ...step, subject: cell(step.subject), detail: Object.fromEntries(detail) };
}

/**
 * The correlation id behind whatever somebody has in hand; each way is one look into an index.
 * @throws {UsageError} when nothing is known by it, or several things are
 */
async function findCorrelation(sql: Sql, id: string): Promise<string> {
  const range = isIdPrefix(id) ? idRange(id) : undefined;
  const byId = range
    ? await sql<{ correlation_id: string }[]>`
      select correlation_id from marketplace.webhook_events
      where correlation_id between ${range[0]}::uuid and ${range[1]}::uuid
      union
      select correlation_id from marketplace.sync_jobs
      where correlation_id between ${range[0]}::uuid and ${range[1]}::uuid
      union
      select correlation_id from marketplace.execution_logs
      where correlation_id between ${range[0]}::uuid and ${range[1]}::uuid
      union
      select correlation_id from marketplace.webhook_events
      where id between ${range[0]}::uuid and ${range[1]}::uuid
      union
      select correlation_id from marketplace.sync_jobs
      where id between ${range[0]}::uuid and ${range[1]}::uuid
      limit 2`
    : [];
  const found = byId.length > 0 ? byId : await sql<{ correlation_id: string }[]>`
    select distinct d.correlation_id
    from marketplace.integrations as i
    join marketplace.webhook_deliveries as d on d.integration_id = i.id and d.dedupe_key = ${id}
    limit 2`;
  if (found.length === 1) return found[0]!.correlation_id;
  throw new UsageError(
    found.length === 0
      ? `Nothing is known by ${id}: give a correlation, event or job id, or a delivery id.`
      : `Several things begin with ${id}: give more of it.`,
  );
}
