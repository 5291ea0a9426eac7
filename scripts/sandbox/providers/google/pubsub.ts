import { Buffer } from "node:buffer";
import { exportJWK, generateKeyPair, type GenerateKeyPairResult, type JWK, SignJWT } from "jose";
import { z } from "zod";
import { isLoopback } from "../../core/pushes.ts";
import type { Sandbox } from "../../core/provider.ts";

/** A push subscription, as `POST /_control/google/subscriptions` takes it. */
export const SubscriptionFixture = z.strictObject({
  topic: z.string().regex(/^projects\/[^/]+\/topics\/[^/]+$/).default(
    "projects/sandbox/topics/gmail",
  ),
  subscription: z.string().regex(/^projects\/[^/]+\/subscriptions\/[^/]+$/).default(
    "projects/sandbox/subscriptions/gmail",
  ),
  /** Where messages are posted to; this machine only. */
  endpoint: z.string().refine(
    isLoopback,
    "must be a URL of this machine, such as http://127.0.0.1",
  ),
  /** `aud` of the token; the endpoint when absent. */
  audience: z.string().optional(),
  /** `email` of the token. */
  service_account: z.string().default("push@sandbox.iam.gserviceaccount.com"),
});
/** The input form of {@linkcode SubscriptionFixture}. */
export type SubscriptionFixture = z.input<typeof SubscriptionFixture>;

const ISSUER = "https://accounts.google.com";
const TOKEN_LIFETIME_S = 3600;
const KEY_ID = "sandbox-1";
const ACKNOWLEDGED = new Set([102, 200, 201, 202, 204]);

/**
 * Cloud Pub/Sub as far as Gmail needs it: topics with push subscriptions, each request signed by an
 * OpenID Connect token that {@linkcode PubSub.jwks} verifies.
 *
 * @see https://cloud.google.com/pubsub/docs/push
 * @see https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
 */
export class PubSub {
  #subscriptions = new Map<string, z.output<typeof SubscriptionFixture>>();
  #keys: Promise<GenerateKeyPairResult> | undefined;
  #nextMessageId = 2_070_443_601_311_540;

  constructor(readonly sandbox: Sandbox) {}

  /** Whether anybody listens to a topic. */
  hasTopic(topic: string): boolean {
    return [...this.#subscriptions.values()].some((each) => each.topic === topic);
  }

  subscribe(wanted: z.output<typeof SubscriptionFixture>): void {
    this.#subscriptions.set(wanted.subscription, wanted);
  }

  /** Publishes a message: one push to each subscription of the topic. Returns at once. */
  publish(topic: string, data: unknown): void {
    const messageId = String(this.#nextMessageId++);
    const publishTime = new Date(this.sandbox.clock.now()).toISOString();
    const message = {
      data: Buffer.from(JSON.stringify(data)).toString("base64"),
      messageId,
      message_id: messageId,
      publishTime,
      publish_time: publishTime,
    };
    for (const wanted of this.#subscriptions.values()) {
      if (wanted.topic === topic) void this.#push(wanted, message);
    }
  }

  /** The keys that Google publishes at `/oauth2/v3/certs`. */
  async jwks(): Promise<{ keys: JWK[] }> {
    const { publicKey } = await this.#keyPair();
    const key = await exportJWK(publicKey);
    return { keys: [{ ...key, kid: KEY_ID, alg: "RS256", use: "sig" }] };
  }

  reset(): void {
    this.#subscriptions.clear();
  }

  async #push(
    wanted: z.output<typeof SubscriptionFixture>,
    message: Record<string, string>,
  ): Promise<void> {
    const { subscription, endpoint, audience = endpoint, service_account } = wanted;
    const { privateKey } = await this.#keyPair();
    // Real time: who verifies the token knows nothing of the sandbox's clock.
    const token = await new SignJWT({ azp: SUBJECT, email: service_account, email_verified: true })
      .setProtectedHeader({ alg: "RS256", kid: KEY_ID, typ: "JWT" })
      .setIssuer(ISSUER).setAudience(audience).setSubject(SUBJECT)
      .setIssuedAt().setExpirationTime(`${TOKEN_LIFETIME_S}s`)
      .sign(privateKey);
    // A reset while it was signed: nobody is to hear of what is forgotten.
    if (this.#subscriptions.get(subscription) !== wanted) return;
    await this.sandbox.pushes.send({
      provider: "google",
      url: endpoint,
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        "user-agent": "CloudPubSub-Google",
      },
      body: JSON.stringify({ message, subscription }),
      retryOn: (status) => !ACKNOWLEDGED.has(status),
    });
  }

  #keyPair(): Promise<GenerateKeyPairResult> {
    // Made when first asked for: making it takes longer than starting the sandbox.
    return this.#keys ??= generateKeyPair("RS256");
  }
}

const SUBJECT = "113774264463038321964";
