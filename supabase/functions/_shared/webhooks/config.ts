/**
 * What a provider's row says about its webhooks (`marketplace.providers.webhook_config`, merged with
 * the integration's `config.webhook`): how a delivery is proven, read, named and answered.
 */
import { z } from "zod";
import { FILTER_NAMES } from "./template.ts";

const encoding = z.enum(["hex", "base64", "base64url"]);
const headerName = z.string().regex(
  /^[a-z0-9-]+$/,
  "header names are lower case",
);
const pointer = z.string().regex(/^(\/([^~]|~[01])*)?$/, "not a JSON pointer");

const reference = z.string().regex(
  /^(?:(?:body|data|item):(?:\/.*)?|(?:header|query|part|setting):.+|[a-z][a-z0-9_]*)$/,
  "not a reference such as body:/action or header:x-event",
);

/** A template whose placeholders are references and whose filters exist. */
const template = z.string().superRefine((text, context) => {
  for (const [, expression] of text.matchAll(/\{([^{}]*)\}/g)) {
    const [name, ...filters] = expression!.split("|");
    const unknown = filters.map((filter) => filter.split(":", 1)[0]!)
      .filter((filter) => !FILTER_NAMES.includes(filter));
    if (!reference.safeParse(name).success) {
      context.addIssue(`{${expression}} is not a reference`);
    }
    for (const filter of unknown) {
      context.addIssue(`there is no filter "${filter}"`);
    }
  }
});

const conditions = z.record(
  reference,
  z.union([z.boolean(), z.string(), z.array(z.string()).min(1)]),
);

const templates = z.union([
  template,
  z.array(
    z.union([template, z.strictObject({ if: conditions, then: template })]),
  ).min(1),
]);

/** When a delivery was signed, and how long it may be under way. */
export const TimestampRule = z.strictObject({
  /** Where the time stands: `header:…`, `part:t` of the signature header, or `body:/…`. */
  from: reference,
  unit: z.enum(["s", "ms", "iso"]).default("s"),
  /** Seconds it may lie in the past; never 0, which would read as "no check". */
  tolerance_seconds: z.int().min(1).default(300),
  /** Seconds it may lie in the future. */
  future_seconds: z.int().min(1).default(300),
});
export type TimestampRule = z.infer<typeof TimestampRule>;

/** Keyed hash over a template of the request. */
export const HmacScheme = z.strictObject({
  family: z.literal("hmac"),
  algorithm: z.enum(["sha1", "sha256", "sha384", "sha512"]),
  encoding,
  header: headerName,
  /** Stands before each signature: `sha256=`, `v0=`. */
  prefix: z.string().default(""),
  /** The header holds several parts between these, for example `t=1,v1=ab,v1=cd`. */
  separator: z.string().length(1).optional(),
  /** The signed bytes: `{raw}`, `{timestamp}.{raw}`, `{url}{form}`, … */
  signed: z.string().default("{raw}"),
  /** How the secret spells the key. */
  secret_encoding: z.enum(["utf8", "base64", "hex"]).default("utf8"),
  timestamp: TimestampRule.optional(),
  /** A hash of the body that the signed URL carries, where the body itself is not signed. */
  body_hash: z.strictObject({ from: reference, encoding }).optional(),
});
export type HmacScheme = z.infer<typeof HmacScheme>;

/** A secret sent along as it is. */
export const TokenScheme = z.strictObject({
  family: z.literal("token"),
  header: headerName,
  /** Stands before the token: `Bearer `. */
  prefix: z.string().default(""),
  /** `basic`: the secret is `user:password`, sent base64-encoded. */
  encoding: z.enum(["plain", "basic"]).default("plain"),
});
export type TokenScheme = z.infer<typeof TokenScheme>;

/** Ed25519 over a template of the request; the secrets are public keys. */
export const Ed25519Scheme = z.strictObject({
  family: z.literal("ed25519"),
  header: headerName,
  encoding: encoding.default("hex"),
  key_encoding: encoding.default("hex"),
  signed: z.string().default("{raw}"),
  timestamp: TimestampRule.optional(),
});
export type Ed25519Scheme = z.infer<typeof Ed25519Scheme>;

/** ECDSA on P-256 with SHA-256; the secrets are public keys (SPKI, base64 or PEM). */
export const EcdsaScheme = z.strictObject({
  family: z.literal("ecdsa"),
  header: headerName,
  encoding: encoding.default("base64"),
  signed: z.string().default("{raw}"),
  timestamp: TimestampRule.optional(),
});
export type EcdsaScheme = z.infer<typeof EcdsaScheme>;

/** Standard Webhooks, and Svix. */
export const StandardWebhooksScheme = z.strictObject({
  family: z.literal("standard_webhooks"),
  /** What stands before `id`, `timestamp` and `signature`. */
  header_prefixes: z.array(headerName).min(1).default(["webhook-", "svix-"]),
  tolerance_seconds: z.int().min(1).default(300),
  future_seconds: z.int().min(1).default(300),
});
export type StandardWebhooksScheme = z.infer<typeof StandardWebhooksScheme>;

/** A JSON Web Token of a sender that publishes its keys. */
export const JwtScheme = z.strictObject({
  family: z.literal("jwt"),
  header: headerName.default("authorization"),
  prefix: z.string().default("Bearer "),
  jwks_url: z.url({ protocol: /^https?$/ }),
  issuers: z.array(z.string()).min(1),
  algorithms: z.array(z.enum(["RS256", "RS384", "RS512", "PS256", "ES256", "EdDSA"])).min(1),
  /** Who the token must be for; a template of `{setting:…}`. */
  audience: template,
  /** Claims that must be there: JSON pointer → template of `{setting:…}`. */
  claims: z.record(pointer, template).default({}),
});
export type JwtScheme = z.infer<typeof JwtScheme>;

/** Amazon SNS; the setting `topic_arns` lists the topics that count. */
export const SnsScheme = z.strictObject({
  family: z.literal("sns"),
  max_age_seconds: z.int().min(1).default(3_600),
  future_seconds: z.int().min(1).default(300),
});
export type SnsScheme = z.infer<typeof SnsScheme>;

/** RSA with a certificate that a header points to. */
export const RsaCertificateScheme = z.strictObject({
  family: z.literal("rsa_certificate"),
  header: headerName,
  certificate: z.strictObject({
    header: headerName,
    hosts: z.array(z.string()).min(1),
    path_prefix: z.string().startsWith("/"),
  }),
  signed: z.string(),
  timestamp: TimestampRule.optional(),
});
export type RsaCertificateScheme = z.infer<typeof RsaCertificateScheme>;

/** One way to prove a delivery. */
export const Scheme = z.discriminatedUnion("family", [
  HmacScheme,
  TokenScheme,
  StandardWebhooksScheme,
  Ed25519Scheme,
  EcdsaScheme,
  JwtScheme,
  SnsScheme,
  RsaCertificateScheme,
]);
export type Scheme = z.infer<typeof Scheme>;

/** How a delivery's body is opened. */
export const BodyRule = z.strictObject({
  /** `auto`: form when its content type says so, else JSON. `none`: there is no body. */
  format: z.enum(["auto", "json", "form", "none"]).default("auto"),
  /** A form field that holds the whole delivery as JSON. */
  form_json_field: z.string().optional(),
  /** A text inside the delivery that is a JSON document of its own; stays as it is when it is not. */
  decode: z.strictObject({ pointer, encoding: z.enum(["json", "base64_json"]) })
    .optional(),
  /** Where a batch's items stand: the first of these that is an array gives one event per item. */
  items: z.array(pointer).optional(),
  /** Members that are not stored: tokens, signatures, URLs that act. */
  omit: z.array(pointer).optional(),
  /** The stored payload of a delivery without a body: member → header. */
  from_headers: z.record(z.string(), headerName).optional(),
}).prefault({});
export type BodyRule = z.infer<typeof BodyRule>;

/** How a delivery is named in the event log. */
export const EventRule = z.strictObject({
  /** Provider's delivery id, unique per integration; default: the body's SHA-256. */
  dedupe: templates.default("sha256:{sha256}[:{index}]"),
  type: templates,
  path: templates.default(""),
  account: templates.optional(),
  /** References to a time: ISO 8601, or Unix seconds or milliseconds. */
  occurred_at: z.array(reference).default([]),
});
export type EventRule = z.infer<typeof EventRule>;

/** What a sender is told once its delivery is stored. */
export const AckRule = z.strictObject({
  if: conditions.optional(),
  status: z.int().min(200).max(299).default(200),
  content_type: z.string().optional(),
  /** Default: `{received, event_id, correlation_id, duplicate}`. */
  body: z.string().optional(),
});
export type AckRule = z.infer<typeof AckRule>;

const respond = {
  if: conditions,
  status: z.int().min(200).max(299).default(200),
};

/** What a provider sends to see who answers, before or between deliveries. None of it is stored. */
export const Handshake = z.discriminatedUnion("kind", [
  /** After verification: a fixed answer, texts in it are templates. */
  z.strictObject({ kind: z.literal("respond"), ...respond, json: z.json().optional() }),
  /** After verification: a text of the delivery and its hex HMAC-SHA256 by the secret that proved it. */
  z.strictObject({
    kind: z.literal("hmac_challenge"),
    ...respond,
    challenge: reference,
    plain_member: z.string(),
    hmac_member: z.string(),
  }),
  /** After verification: SNS wants its SubscribeURL fetched. */
  z.strictObject({ kind: z.literal("sns_confirm"), if: conditions }),
  /** Unverified GET: a query parameter is sent back, for holders of `verify_token` if one is asked. */
  z.strictObject({
    kind: z.literal("query_challenge"),
    if: conditions.default({}),
    challenge: z.string(),
    token: z.string().optional(),
  }),
  /** Unverified HEAD: somebody answers. */
  z.strictObject({ kind: z.literal("probe") }),
  /** Unverified: a secret in a header, echoed, and kept only while the integration has none. */
  z.strictObject({ kind: z.literal("hook_secret"), header: headerName }),
  /** Unverified: a secret in the body, kept aside for the operator to look at. */
  z.strictObject({ kind: z.literal("offered_secret"), pointer }),
]);
export type Handshake = z.infer<typeof Handshake>;

/** All of it. Further members are settings of the integration that schemes and handshakes name. */
export const WebhookConfig = z.looseObject({
  /** Any of them suffices; each is tried only when its header is there. */
  verify: z.union([Scheme.transform((scheme) => [scheme]), z.array(Scheme).min(1)]),
  /** Values that must be among a setting's, checked once the proof holds: reference → setting. */
  require: z.record(reference, z.string()).default({}),
  body: BodyRule,
  event: EventRule,
  handshakes: z.array(Handshake).default([]),
  ack: z.array(AckRule).default([]),
  /** Whether a push comes through a channel of Google's, which must be ours once there are some. */
  watch_channel: z.boolean().default(false),
  /** Where a push names the account that has changed. */
  watch_account: reference.optional(),
  /** The URL the provider was given, without a query string, where the scheme signs it. */
  public_url: z.url().optional(),
});
export type WebhookConfig = z.infer<typeof WebhookConfig>;
