/**
 * marketplace-jobs: what a running workflow may ask and report, with nothing but its job's token.
 *
 * The token is valid for one attempt and the integrations of its rule. Every call renews the lease;
 * a call of an attempt that lost it changes nothing (409).
 */
import type { Context } from "hono";
import { z } from "zod";
import { waitUntil } from "../_shared/background.ts";
import { cleanText, db, type Sql, toJsonText } from "../_shared/db.ts";
import { env } from "../_shared/env.ts";
import { AppError } from "../_shared/errors.ts";
import {
  adoptCorrelation,
  type AppEnv,
  bearerToken,
  createApp,
  methodNotAllowed,
  readJson,
} from "../_shared/http.ts";
import {
  type Artifact,
  authorizeJob,
  type JobContext,
  type JobIntegration,
  requireLease,
} from "../_shared/jobs/context.ts";
import { noticeChannel } from "../_shared/jobs/notice_channel.ts";
import { isUuid } from "../_shared/trace.ts";
import { noteWait } from "./artifacts.ts";
import { type PlanItem, planJob } from "./plan.ts";
import { ArtifactReport, issueTicket, takeReport, TicketRequest } from "./reports.ts";

/** Body of `POST /<job>/complete`. */
export const CompleteRequest = z.object({ summary: z.unknown().optional() });

/** Body of `POST /<job>/fail`. */
export const FailRequest = z.object({
  code: z.string().trim().min(1).max(100).default("workflow_failed"),
  message: z.string().max(2000).nullish(),
  retryable: z.boolean().default(true),
});

/** A message comes along with the request for its task's ticket. */
const MAX_TICKET_REQUEST = 8 * 1024 * 1024;
/** What no further attempt of the same job would change. */
const HOPELESS = new Set([
  "rule_misconfigured",
  "destination_unsupported",
  "event_missing",
  "connection_not_found",
  "connection_ambiguous",
]);

/** The function's Hono app, mounted at /marketplace-jobs. */
export const app = createApp("marketplace-jobs");

app.get("/:id", async (c) => {
  const context = await open(c);
  return c.json({
    job: context.job,
    event: context.event,
    rule: context.rule,
    source: describeIntegration(context.source),
    destination: describeIntegration(context.destination),
    notify: context.notify && {
      ...describeIntegration(context.notify),
      channel: noticeChannel(context.notify, env().SLACK_ARTIFACTS_CHANNEL),
    },
    artifacts: context.artifacts,
  });
});
app.all("/:id", methodNotAllowed("GET"));

app.post("/:id/heartbeat", async (c) => {
  const context = await open(c);
  requireLease(context);
  return c.json({ lease_expires_at: context.job.lease_expires_at });
});

app.post("/:id/plan", async (c) => {
  const context = await open(c);
  const items = await planJob(db(), context).catch((error) => giveUp(context, error));
  const having = (...statuses: Artifact["status"][]) =>
    items.filter(({ artifact }) => statuses.includes(artifact.status) && !artifact.is_final);
  c.get("log").info("job.planned", { job_id: context.job.id, artifacts: items.length });
  return c.json({
    job: context.job,
    artifacts: having("planned", "transferring", "uploaded", "failed").map(describeItem),
    skipped: having("skipped").map(({ artifact: { name, error_message } }) => ({
      name,
      reason: error_message,
    })),
    completed: having("completed").length,
  });
});

app.post("/:id/tickets", async (c) => {
  const context = await open(c);
  const request = await readJson(c.req.raw, TicketRequest, { maxBytes: MAX_TICKET_REQUEST });
  return c.json(await issueTicket(db(), context, request));
});

app.post("/:id/artifacts", async (c) => {
  const context = await open(c);
  const report = await readJson(c.req.raw, ArtifactReport);
  const outcome = await takeReport(db(), context, report);
  c.get("log").info("artifact.reported", {
    job_id: context.job.id,
    artifact_id: outcome.id,
    status: outcome.status,
    error_code: outcome.error_code,
  });
  return c.json(outcome);
});

app.post("/:id/complete", async (c) => {
  const context = await open(c);
  const { summary } = await readJson(c.req.raw, CompleteRequest);
  // The answer to the first report was lost.
  if (context.job.status === "completed") return c.json({ status: "completed", failed: 0 });
  const [row] = await db()`
    select marketplace.complete_job(
      ${context.job.id}, ${requireLease(context)},
      ${toJsonText(summary === undefined ? {} : { summary })}::text::jsonb
    ) as result
  `;
  ringForNext(db());
  return c.json(row!.result);
});

app.post("/:id/fail", async (c) => {
  const context = await open(c);
  const { code, message, retryable } = await readJson(c.req.raw, FailRequest);
  const [row] = await db()`
    select marketplace.fail_job(
      ${context.job.id}, ${requireLease(context)}, ${cleanText(code)}, ${
    message ? cleanText(message) : null
  }, ${retryable}
    ) as result
  `;
  ringForNext(db());
  return c.json(row!.result);
});

for (const action of ["heartbeat", "plan", "tickets", "artifacts", "complete", "fail"]) {
  app.all(`/:id/${action}`, methodNotAllowed("POST"));
}

/** The job that the request is about, if its token is alive. */
async function open(c: Context<AppEnv>): Promise<JobContext> {
  const token = bearerToken(c.req.raw);
  const id = c.req.param("id") ?? "";
  if (!isUuid(id)) throw new AppError("not_found", 404, "There is no job of that id.");
  const context = await authorizeJob(db(), id, token);
  adoptCorrelation(c, context.job.correlation_id);
  return context;
}

/**
 * A job that ends makes room: whoever waited for its workflow can start now rather than at the next
 * sweep.
 */
function ringForNext(sql: Sql): void {
  waitUntil((async () => {
    await sql`select marketplace.ring_if_due()`;
  })());
}

/** Workflows address integrations by slug; URLs and settings are not theirs. */
function describeIntegration(integration: JobIntegration | null) {
  return integration && { integration: integration.slug, provider: integration.provider };
}

function describeItem({ artifact, ...steps }: PlanItem) {
  const { id, kind, name, source_path, content_type, size_bytes, destination_path, status } =
    artifact;
  return {
    id,
    kind,
    name,
    source_path,
    content_type,
    size_bytes,
    destination_path,
    status,
    ...steps,
  };
}

/** A rule that cannot be followed as it stands is not tried ten times. */
async function giveUp(context: JobContext, error: unknown): Promise<never> {
  await noteWait(db(), context, error);
  if (error instanceof AppError && HOPELESS.has(error.code)) {
    await db()`
      select marketplace.fail_job(
        ${context.job.id}, ${requireLease(context)}, ${error.code}, ${
      cleanText(error.message)
    }, false
      )
    `;
  }
  throw error;
}
