/** Routes of marketplace-webhook. */
import { z } from "zod";
import type { Operation } from "./operation.ts";
import { Health, Id, Unavailable } from "./schemas.ts";

const Stored = z.object({
  event_id: Id,
  correlation_id: Id,
  duplicate: z.boolean().describe("It was stored before, and is not stored again."),
});

const Received = z.union([
  Stored.extend({ received: z.literal(true) }),
  z.object({ received: z.literal(true), events: z.array(Stored) }),
]).meta({ id: "Received" });

const DELIVERY = {
  errors: {
    400: ["malformed_json", "invalid_utf8", "too_deep", "body_aborted", "payload_not_storable"],
    401: [
      ...["invalid_signature", "missing_signature", "missing_secret", "missing_setting"],
      ...["missing_timestamp", "stale_timestamp", "future_timestamp", "unexpected_source"],
      ...["handshake_closed", "invalid_token"],
    ],
    404: ["unknown_endpoint", "not_registered", "inactive", "no_webhooks"],
    408: ["body_timeout"],
    413: ["payload_too_large"],
    429: ["rate_limited"],
    503: [
      ...["keys_unavailable", "settings_changing", "invalid_config", "confirmation_failed"],
      "unknown_channel",
    ],
  },
};

const Challenge = z.string().describe("The challenge, as it was sent.");

const deliver = (id: string, path: string): Operation => ({
  id,
  method: "post",
  path,
  summary: "Receive a delivery",
  description:
    "Verifies the delivery over its raw bytes as the provider's scheme says, stores it once, and " +
    "answers after the commit. Some providers want another answer: their row says which. Requests " +
    "that a provider sends to see who answers are answered as it documents.",
  body: { "application/json": z.unknown(), "application/x-www-form-urlencoded": z.unknown() },
  answers: {
    200: {
      description: "Stored, or stored before.",
      body: { "application/json": Received, "text/plain": z.string() },
    },
    204: { description: "As 200, for providers that want no body.", body: null },
  },
  ...DELIVERY,
});

const challenge = (id: string, path: string): Operation => ({
  id,
  method: "get",
  path,
  summary: "Answer a challenge",
  description: "Where a provider proves an endpoint with a query, such as Meta; 405 elsewhere.",
  answers: { 200: { description: "The challenge.", body: { "text/plain": Challenge } } },
  errors: {
    401: ["invalid_token"],
    404: DELIVERY.errors[404],
    405: ["method_not_allowed"],
    429: ["rate_limited"],
  },
});

/** Routes of marketplace-webhook. */
export const WEBHOOK: Operation[] = [
  deliver("receiveDelivery", "/marketplace-webhook/{provider}"),
  deliver("receiveDeliveryOf", "/marketplace-webhook/{provider}/{integration}"),
  challenge("answerChallenge", "/marketplace-webhook/{provider}"),
  challenge("answerChallengeOf", "/marketplace-webhook/{provider}/{integration}"),
  {
    id: "getHealth",
    method: "get",
    path: "/marketplace-webhook/health",
    summary: "Whether deliveries can be stored, and how the queue stands",
    answers: {
      200: { description: "`degraded` comes with its reasons.", body: Health },
      503: {
        description: "The database is not reachable.",
        body: Unavailable,
        headers: ["retry-after"],
      },
    },
  },
];
