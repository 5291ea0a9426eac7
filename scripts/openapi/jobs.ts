/** Routes of marketplace-jobs. */
import { z } from "zod";
import type { TransferTicket } from "../../supabase/functions/marketplace-jobs/transfer.ts";
import { CompleteRequest, FailRequest } from "../../supabase/functions/marketplace-jobs/app.ts";
import type { ActionCall } from "../../supabase/functions/marketplace-jobs/gateway.ts";
import {
  ArtifactReport,
  TicketRequest,
} from "../../supabase/functions/marketplace-jobs/reports.ts";
import type { Operation } from "./operation.ts";
import { answering, ArtifactStatus, Id, IntegrationRef, Job, Time } from "./schemas.ts";

const Call = answering<ActionCall>()(z.object({
  integration: z.string(),
  action: z.string(),
  parameters: z.record(z.string(), z.unknown()),
  idempotency_key: z.string().optional(),
})).meta({ id: "ActionCall" });

const Artifact = z.object({
  id: Id,
  kind: z.enum(["transfer", "document", "task", "table"]),
  name: z.string(),
  source_path: z.string(),
  content_type: z.string(),
  size_bytes: z.int().nullable(),
  destination_path: z.string(),
  status: ArtifactStatus,
  read: Call.optional().describe("Ask marketplace-execute for this first; transfers have tickets."),
  write: Call.optional().describe("Then this, with what was read; tasks have a ticket."),
  previous_sha256: z.string().nullish().describe("Of what was read the last time."),
}).meta({ id: "Artifact" });

const Event = z.object({
  id: Id,
  event_type: z.string(),
  provider: z.string(),
  account: z.string().nullable(),
  resource_path: z.string(),
  occurred_at: Time,
  created_at: Time,
  payload: z.unknown(),
}).meta({ id: "Event" });

const Rule = z.object({
  id: Id,
  name: z.string(),
  source_pattern: z.string(),
  source_pattern_regex: z.string(),
  artifact_types: z.array(z.string()),
  destination_template: z.string(),
  config: z.record(z.string(), z.unknown()),
}).meta({ id: "Rule" });

const Opened = z.object({
  job: Job,
  event: Event.nullable().describe(
    "null: a schedule made the job, or it has outlived its retention.",
  ),
  rule: Rule,
  source: IntegrationRef,
  destination: IntegrationRef.nullable(),
  notify: IntegrationRef.extend({ channel: z.string().nullable() }).nullable(),
  artifacts: z.array(z.looseObject({ id: Id, name: z.string(), status: ArtifactStatus }))
    .describe("Rows of marketplace.artifact_syncs."),
}).meta({ id: "OpenedJob" });

const Plan = z.object({
  job: Job,
  artifacts: z.array(Artifact).describe("Those that are still to be moved."),
  skipped: z.array(z.object({ name: z.string(), reason: z.string().nullable() })),
  completed: z.int(),
}).meta({ id: "Plan" });

const transfer = {
  method: z.enum(["GET", "PUT", "POST"]),
  url: z.url(),
  headers: z.record(z.string(), z.string()),
  body: z.string().optional().describe("JSON; of a download through marketplace-execute."),
};
const Ticket = answering<TransferTicket>()(z.object({
  artifact_id: Id,
  source: z.object(transfer).describe("To be used at once: it may live only a minute."),
  destination: z.object({ kind: z.string(), ...transfer }),
  content_type: z.string(),
  size_bytes: z.int().nullable(),
})).meta({ id: "TransferTicket" });

const TaskTicket = z.object({ artifact_id: Id, write: Call }).meta({ id: "TaskTicket" });

const Reported = z.object({
  id: Id,
  status: ArtifactStatus,
  destination: z.string().optional().describe("Where the copy is, for people."),
  error_code: z.string().nullish(),
  error_message: z.string().nullish(),
}).meta({ id: "ArtifactOutcome" });

const JobEnd = z.object({
  status: z.enum(["completed", "pending", "dead"]),
  failed: z.int().optional().describe("Artifacts that could not be moved."),
  unfinished: z.int().optional().describe("Artifacts of which nothing was reported."),
}).meta({ id: "JobEnd" });

const refusals = { 404: ["not_found"], 409: ["conflict", "job_finished"] };

const step = (
  operation: Pick<Operation, "id" | "summary" | "answers"> & Partial<Operation> & { step: string },
): Operation => {
  const { step, errors, ...rest } = operation;
  return {
    method: "post",
    path: `/marketplace-jobs/{id}/${step}`,
    credentials: ["jobToken"],
    ...rest,
    errors: { ...refusals, ...errors },
  };
};

/** What a provider's refusal is called, for the source and for the destination. */
const PROVIDER_REFUSALS = ["unauthorized", "forbidden", "not_found", "rejected", "redirected"];
const ofBoth = (...names: string[]) =>
  ["source", "destination"].flatMap((role) => names.map((name) => `${role}_${name}`));

const TRANSFER_ERRORS = {
  422: [
    ...["event_missing", "event_unsupported", "source_unsupported", "rule_misconfigured"],
    ...["destination_not_set", "destination_misconfigured", "destination_unsupported"],
    ...["template_invalid", "message_missing", "ticket_unsupported", "report_unsupported"],
    ...["invalid_report", "address_refused"],
  ],
  502: [
    ...ofBoth(...PROVIDER_REFUSALS, "invalid_response"),
    "destination_credentials_missing",
  ],
  503: ofBoth("unavailable", "rate_limited"),
};

/** Routes of marketplace-jobs. */
export const JOBS: Operation[] = [
  {
    id: "getJob",
    method: "get",
    path: "/marketplace-jobs/{id}",
    summary: "The job, its event, its rule, its artifacts",
    credentials: ["jobToken"],
    answers: { 200: { description: "The job; its lease was renewed.", body: Opened } },
    errors: { 404: ["not_found"], 409: ["conflict"] },
  },
  step({
    id: "heartbeat",
    step: "heartbeat",
    summary: "Keep the lease",
    answers: {
      200: { description: "Until when.", body: z.object({ lease_expires_at: Time }) },
    },
  }),
  step({
    id: "planJob",
    step: "plan",
    summary: "List what is to be moved",
    description: "Lists the artifacts at the source, picks those the rule wants, renders their " +
      "paths, and writes them down. Planning again keeps what is completed.",
    answers: { 200: { description: "The plan.", body: Plan } },
    errors: TRANSFER_ERRORS,
  }),
  step({
    id: "createTicket",
    step: "tickets",
    summary: "What moves one artifact",
    body: TicketRequest,
    answers: {
      200: {
        description: "Download and upload; for a task, what to write.",
        body: z.union([Ticket, TaskTicket]),
      },
    },
    errors: {
      ...TRANSFER_ERRORS,
      404: ["not_found", "artifact_not_found"],
      409: [...refusals[409], "artifact_finished"],
    },
  }),
  step({
    id: "reportArtifact",
    step: "artifacts",
    summary: "Report a transfer",
    description: "An upload is looked at where it went: the artifact is completed only when size " +
      "and checksum are proven there.",
    body: ArtifactReport,
    answers: { 200: { description: "What became of it.", body: Reported } },
    errors: { ...TRANSFER_ERRORS, 404: ["not_found", "artifact_not_found"] },
  }),
  step({
    id: "completeJob",
    step: "complete",
    summary: "Report the job's end",
    body: CompleteRequest,
    answers: {
      200: {
        description: "`pending` or `dead` when artifacts were left over: the attempt has failed.",
        body: JobEnd,
      },
    },
  }),
  step({
    id: "failJob",
    step: "fail",
    summary: "Report that the attempt has failed",
    body: FailRequest,
    answers: { 200: { description: "`pending`: it is tried again.", body: JobEnd } },
  }),
];
