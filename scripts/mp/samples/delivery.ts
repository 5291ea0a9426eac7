/**
 * Deliveries that one makes oneself: from a sample or a file, signed with the integration's secret.
 * @module
 */
import { WebhookConfig } from "../../../supabase/functions/_shared/webhooks/config.ts";
import {
  openDelivery,
  toEvents,
  type WebhookEvent,
} from "../../../supabase/functions/_shared/webhooks/normalise.ts";
import { utf8 } from "../../../supabase/functions/_shared/webhooks/bytes.ts";
import { UsageError } from "../errors.ts";
import { makeSample, type Sample, sampleEvents } from "./providers.ts";
import { chooseScheme, type SignableScheme, signDelivery, type SignedDelivery } from "./sign.ts";

/** What a delivery is made of. */
export interface DeliveryWish {
  provider: string;
  /** The event's name; default: the provider's first sample. */
  event?: string | undefined;
  /** Body as it is sent; default: the sample's. */
  body?: string | undefined;
  /** Added to the sample's. */
  headers?: Record<string, string> | undefined;
  now?: Date;
}

/** A delivery before it is signed. */
export interface UnsignedDelivery {
  id: string;
  event: string;
  body: string;
  headers: Headers;
  now: Date;
}

/**
 * Makes a delivery.
 * @throws {UsageError} when there is no such sample
 */
export async function composeDelivery(wish: DeliveryWish): Promise<UnsignedDelivery> {
  const { provider, body, now = new Date() } = wish;
  const event = wish.event ?? (await sampleEvents(provider))[0]!;
  const id = crypto.randomUUID();
  const sample = await makeSample(provider, { event, id, now }) ??
    (body === undefined ? undefined : await headersOf(provider, event, { id, now }));
  if (!sample) {
    const [kind] = event.split(".");
    const close = (await sampleEvents(provider)).filter((name) => name.startsWith(kind!)).slice(
      0,
      12,
    );
    throw new UsageError(
      `There is no sample of ${provider} ${event}: ` +
        (close.length > 0 ? `there are ${close.join(", ")}` : `mp send ${provider} --list`) +
        ", or give a --file.",
    );
  }
  const headers = new Headers(sample.headers);
  const isForm = sample.body instanceof URLSearchParams;
  if (sample.body !== null) {
    headers.set("content-type", isForm ? "application/x-www-form-urlencoded" : "application/json");
  }
  for (const [name, value] of Object.entries(wish.headers ?? {})) headers.set(name, value);
  const text = sample.body === null
    ? ""
    : isForm
    ? String(sample.body)
    : JSON.stringify(sample.body);
  return { id, event, body: body ?? text, headers, now };
}

/** Headers for a file whose event there is no sample of: GitHub's say what it is. */
async function headersOf(
  provider: string,
  event: string,
  facts: { id: string; now: Date },
): Promise<Sample | undefined> {
  const like = await makeSample(provider, { event: (await sampleEvents(provider))[0]!, ...facts });
  const name = event.split(".")[0]!;
  return like && { ...like, headers: { ...like.headers, "x-github-event": name } };
}

/** A provider's settings as they are verified with. @throws {UsageError} when they are invalid */
export function readWebhookConfig(config: Record<string, unknown>): WebhookConfig {
  const parsed = WebhookConfig.safeParse(config);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new UsageError(
    `The webhook settings are invalid: ${issue!.path.join(".")} ${issue!.message}. See mp doctor.`,
  );
}

/** Signs a delivery for an endpoint, and says how. @throws {UsageError} when only the provider can */
export async function proveDelivery(
  delivery: UnsignedDelivery,
  config: WebhookConfig,
  endpoint: { url: string; secret: string },
): Promise<{ signed: SignedDelivery; scheme: SignableScheme }> {
  const scheme = chooseScheme(config.verify, endpoint.secret);
  if (!scheme) {
    throw new UsageError(
      `Only the provider can sign its deliveries (${config.verify[0]!.family}): ` +
        "trigger one there, and watch it with mp tail.",
    );
  }
  // What is signed is the URL that the provider was given.
  const url = config.public_url ?? endpoint.url;
  const signed = await signDelivery(scheme, endpoint.secret, { ...delivery, url });
  return { signed: { ...signed, url: endpoint.url }, scheme };
}

/** What a payload would be stored as: its events with type, path and payload. */
export async function namedEvents(
  provider: string,
  webhookConfig: Record<string, unknown>,
  { body, event }: { body: string; event: string },
): Promise<WebhookEvent[]> {
  const config = readWebhookConfig(webhookConfig);
  const { headers } = await composeDelivery({ provider, event, body });
  const opened = openDelivery(
    { raw: utf8(body), headers, query: new URLSearchParams() },
    config.body,
  );
  if (!opened.ok) throw new UsageError(`The payload cannot be read: ${opened.code}.`);
  return toEvents(opened, config);
}
