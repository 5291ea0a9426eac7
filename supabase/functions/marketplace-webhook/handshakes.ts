/**
 * What providers send to see who answers: challenges, confirmations, secrets on offer. Which of
 * these a provider uses is data in its row; none of it becomes an event.
 */
import { AppError } from "../_shared/errors.ts";
import { constantTimeEqual } from "../_shared/http.ts";
import { toHex, utf8 } from "../_shared/webhooks/bytes.ts";
import type { Fetch } from "../_shared/webhooks/certificates.ts";
import type { Handshake } from "../_shared/webhooks/config.ts";
import { hmac } from "../_shared/webhooks/hmac.ts";
import { atPointer, readJsonBytes, scalarText } from "../_shared/webhooks/json_text.ts";
import { isSnsUrl } from "../_shared/webhooks/sns.ts";
import { holds, type Lookup, renderTemplate, split } from "../_shared/webhooks/template.ts";
import { TokenBucket } from "../_shared/webhooks/token_bucket.ts";
import { type Endpoint, validSecrets } from "./config_cache.ts";
import type { Store } from "./ingest.ts";

/** What handshakes need. */
export interface HandshakeOptions {
  store: Pick<Store, "acceptHookSecret" | "offerSecret" | "credentials" | "noteConfirmation">;
  fetch: Fetch;
  now: () => number;
}

/** Anybody may offer a secret to an integration that has none; each offer costs a statement. */
const OFFERS = { burst: 10, perSecond: 0.2 };

/** Printable ASCII without spaces: what challenges and secrets in headers are made of. */
const VISIBLE = /^[\x21-\x7e]{1,512}$/;
const HOOK_SECRET = /^[\x21-\x7e]{16,256}$/;

const CONFIRM_TIMEOUT_MS = 5_000;

/** Answers handshakes; every method gives undefined when the request is none. */
export class Handshakes {
  readonly #offers: TokenBucket;
  readonly #credentials = new WeakMap<Endpoint, Promise<Record<string, string>>>();

  constructor(readonly options: HandshakeOptions) {
    this.#offers = new TokenBucket(OFFERS, options.now);
  }

  /**
   * A GET or HEAD, which no provider signs.
   *
   * @throws AppError `invalid_token` (401) when the challenge's token is not the integration's
   */
  async query(request: Request, endpoint: Endpoint): Promise<Response | undefined> {
    const query = new URL(request.url).searchParams;
    for (const handshake of endpoint.webhook.handshakes) {
      if (handshake.kind === "probe" && request.method === "HEAD") return new Response(null);
      if (handshake.kind !== "query_challenge" || request.method !== "GET") continue;
      const lookup: Lookup = (reference) => {
        const [root, name] = split(reference, ":");
        return root === "query" ? query.get(name) ?? undefined : undefined;
      };
      const challenge = query.get(handshake.challenge);
      if (!challenge || !VISIBLE.test(challenge) || !holds(handshake.if, lookup)) continue;
      if (handshake.token !== undefined) {
        const { verify_token: expected } = await this.#credentialsOf(endpoint);
        const sent = query.get(handshake.token);
        if (!expected || !sent || !constantTimeEqual(sent, expected)) {
          throw new AppError(
            "invalid_token",
            401,
            "The challenge's token is not the one expected.",
          );
        }
      }
      // Text that no browser may take for a page: the sender chooses it.
      return new Response(challenge, {
        headers: {
          "content-type": "text/plain; charset=utf-8",
          "x-content-type-options": "nosniff",
        },
      });
    }
    return undefined;
  }

  /**
   * A POST that comes before there is a secret to verify it with. Once the integration has one, these
   * are refused like any unsigned delivery.
   *
   * @throws AppError `handshake_closed` (401), `rate_limited` (429)
   */
  async unverified(
    { headers }: Request,
    raw: Uint8Array<ArrayBuffer>,
    endpoint: Endpoint,
  ): Promise<Response | undefined> {
    const { store, now } = this.options;
    const hasSecret = validSecrets(endpoint, now()).length > 0;
    for (const handshake of endpoint.webhook.handshakes) {
      if (handshake.kind === "hook_secret") {
        const secret = headers.get(handshake.header);
        if (!secret) continue;
        const isSecret = HOOK_SECRET.test(secret);
        if (isSecret) this.#takeOffer();
        if (!isSecret || !await store.acceptHookSecret(endpoint.integrationId, secret)) {
          throw new AppError("handshake_closed", 401, "This integration expects no handshake.", {
            cause: new Error(
              `to let one in: select marketplace.expect_webhook_handshake('${endpoint.integrationSlug}')`,
            ),
          });
        }
        return new Response(null, { headers: { [handshake.header]: secret } });
      }
      if (handshake.kind === "offered_secret" && !hasSecret) {
        const body = readJsonBytes(raw);
        const secret = body.ok ? scalarText(atPointer(body.value, handshake.pointer)) : undefined;
        if (!secret || !HOOK_SECRET.test(secret)) continue;
        this.#takeOffer();
        await store.offerSecret(endpoint.integrationId, secret);
        return Response.json({ received: true });
      }
    }
    return undefined;
  }

  /**
   * A verified POST.
   *
   * @param secret the secret that proved it
   * @throws AppError `confirmation_failed` (503), so that the provider sends it again
   */
  async verified(
    lookup: Lookup,
    endpoint: Endpoint,
    secret: string | undefined,
  ): Promise<Response | undefined> {
    for (const handshake of endpoint.webhook.handshakes) {
      if (!("if" in handshake) || !holds(handshake.if, lookup)) continue;
      switch (handshake.kind) {
        case "respond":
          return respond(handshake, lookup);
        case "hmac_challenge": {
          const challenge = lookup(handshake.challenge);
          if (challenge === undefined || secret === undefined) continue;
          const mac = toHex(hmac("sha256", utf8(secret), utf8(challenge)));
          return Response.json(
            { [handshake.plain_member]: challenge, [handshake.hmac_member]: mac },
            { status: handshake.status },
          );
        }
        case "sns_confirm":
          await this.#confirmSubscription(lookup, endpoint);
          return Response.json({ received: true, confirmed: true });
      }
    }
    return undefined;
  }

  async #confirmSubscription(
    lookup: Lookup,
    { integrationId, webhook }: Endpoint,
  ): Promise<void> {
    const topic = lookup("body:/TopicArn") ?? "";
    const url = lookup("body:/SubscribeURL") ?? "";
    const query = URL.canParse(url) ? new URL(url).searchParams : new URLSearchParams();
    const isConfirmation = isSnsUrl(url, { endpoint: webhook.sns_endpoint }) &&
      query.get("Action") === "ConfirmSubscription" && query.get("TopicArn") === topic;
    if (!isConfirmation) {
      throw new AppError("unexpected_source", 401, "The SubscribeURL is not one of SNS.");
    }
    try {
      const signal = AbortSignal.timeout(CONFIRM_TIMEOUT_MS);
      const response = await this.options.fetch(url, { redirect: "error", signal });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`SNS answered ${response.status}`);
      await this.options.store.noteConfirmation(integrationId, topic);
    } catch (cause) {
      throw new AppError("confirmation_failed", 503, "The subscription could not be confirmed.", {
        cause,
        retryAfterSeconds: 30,
      });
    }
  }

  #takeOffer(): void {
    if (this.#offers.take()) return;
    throw new AppError("rate_limited", 429, "Too many handshakes were tried; slow down.", {
      retryAfterSeconds: 5,
    });
  }

  #credentialsOf(endpoint: Endpoint): Promise<Record<string, string>> {
    let credentials = this.#credentials.get(endpoint);
    if (!credentials) {
      credentials = this.options.store.credentials(endpoint.integrationId);
      // A failure is not remembered.
      credentials.catch(() => this.#credentials.delete(endpoint));
      this.#credentials.set(endpoint, credentials);
    }
    return credentials;
  }
}

function respond(handshake: Extract<Handshake, { kind: "respond" }>, lookup: Lookup): Response {
  const { status, json } = handshake;
  if (json === undefined) return new Response(null, { status });
  return Response.json(fillTexts(json, lookup), { status });
}

/** The same JSON with its texts filled as templates. */
function fillTexts(value: unknown, lookup: Lookup): unknown {
  if (typeof value === "string") return renderTemplate(value, lookup) ?? "";
  if (Array.isArray(value)) return value.map((item) => fillTexts(item, lookup));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, fillTexts(member, lookup)]),
  );
}
