/** Routes of marketplace-dispatch and marketplace-maintain. */
import { z } from "zod";
import type { DrainReport } from "../../supabase/functions/marketplace-dispatch/drain.ts";
import type { MaintainReport } from "../../supabase/functions/marketplace-maintain/app.ts";
import type { Operation } from "./operation.ts";
import { Accepted, answering, Health } from "./schemas.ts";

const Wait = z.object({
  wait: z.literal("true").optional().describe("Answer when it is done."),
});

const Drained = answering<DrainReport>()(z.object({
  events: z.int().describe("Routed."),
  jobs: z.int().describe("Made of them."),
  reaped: z.int().describe("Leases taken back."),
  claimed: z.int(),
  delivered: z.int(),
  failed: z.int(),
  unknown: z.int().describe("Sent, but not answered."),
  duration_ms: z.number(),
  is_out_of_time: z.boolean(),
})).meta({ id: "DrainReport" });

const Maintained = answering<MaintainReport>()(z.object({
  refreshed: z.int().describe("Tokens."),
  failed: z.int().describe("Tokens."),
  pulls: z.int().describe("Of feeds of changes."),
  events: z.int().describe("That pulls stored."),
  failed_pulls: z.int(),
  channels_opened: z.int(),
  channels_stopped: z.int(),
  failed_channels: z.int(),
  webhooks: z.int().describe("At providers, looked at."),
  failed_webhooks: z.int(),
})).meta({ id: "MaintainReport" });

/** Routes of marketplace-dispatch. */
export const DISPATCH: Operation[] = [
  {
    id: "dispatch",
    method: "post",
    path: "/marketplace-dispatch",
    summary: "Drain the queue",
    description: "Routes events to jobs, leases jobs, sends them to their workflows. Asking once " +
      "more while it runs is harmless.",
    credentials: ["ringKey", "serviceKey"],
    query: Wait,
    answers: {
      200: { description: "With `wait=true`: what was done.", body: Drained },
      202: { description: "It runs in the background.", body: Accepted },
    },
  },
  {
    id: "getMetrics",
    method: "get",
    path: "/marketplace-dispatch/metrics",
    summary: "Figures for Prometheus",
    credentials: ["ringKey", "serviceKey"],
    answers: {
      200: { description: "OpenMetrics.", body: { "application/openmetrics-text": z.string() } },
    },
  },
  {
    id: "getDispatchHealth",
    method: "get",
    path: "/marketplace-dispatch/health",
    summary: "The queue in figures",
    answers: {
      200: {
        description: "As marketplace-webhook/health, for the dispatcher.",
        body: Health.extend({ draining: z.boolean() }).meta({ id: "DispatchHealth" }),
      },
    },
  },
];

/** Routes of marketplace-maintain. */
export const MAINTAIN: Operation[] = [{
  id: "maintain",
  method: "post",
  path: "/marketplace-maintain",
  summary: "Renew tokens, pull what has changed, keep push channels and webhooks",
  credentials: ["ringKey", "serviceKey"],
  query: Wait,
  answers: {
    200: { description: "With `wait=true`: what was done.", body: Maintained },
    202: { description: "It runs in the background.", body: Accepted },
  },
}];
