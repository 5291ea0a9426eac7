import { type Context, Hono } from "hono";
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Refusal } from "../../core/faults.ts";
import type { ObservedEnv, Provider, Sandbox } from "../../core/provider.ts";
import { S3Error } from "../../s3/errors.ts";
import { S3_CREDENTIALS } from "../../s3/server.ts";
import { verifySignature } from "../../s3/signature.ts";
import { writeXml } from "../../s3/xml.ts";
import { AWS_ACCOUNT, AWS_REGION, SnsError, type Topics } from "./topics.ts";

const NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/";
const PAGE = 100;

/** Parameters of a call. */
type Parameters = URLSearchParams;

/** A topic with the policy that lets buckets publish, as `POST /_control/sns/topics` takes it. */
export const SnsTopicFixture = z.strictObject({
  name: z.string(),
  /** Of these buckets S3 may publish; more than the usual policy allows. */
  buckets: z.array(z.string()).default([]),
});
/** The input form of {@linkcode SnsTopicFixture}. */
export type SnsTopicFixture = z.input<typeof SnsTopicFixture>;

/**
 * Amazon SNS, as far as buckets need it: topics, subscriptions of HTTP endpoints, signed messages.
 * The keys are those of the sandbox's S3.
 *
 * @see https://docs.aws.amazon.com/sns/latest/api/API_Operations.html
 */
export function createSns(sandbox: Sandbox, topics: Topics): Provider {
  const secrets = new Map<string, string>([
    [S3_CREDENTIALS.accessKeyId, S3_CREDENTIALS.secretAccessKey],
  ]);
  const app = new Hono<ObservedEnv>({ strict: false });

  app.get(topics.certificatePath, async (c) => c.text(await topics.certificate()));
  // Whoever has the token may confirm.
  app.get("/", (c) => {
    const parameters = new URLSearchParams(c.var.rawQuery);
    if (parameters.get("Action") !== "ConfirmSubscription") {
      throw new SnsError(403, "MissingAuthenticationToken", "Missing Authentication Token");
    }
    return answer("ConfirmSubscription", confirm(parameters));
  });
  app.post("/", async (c) => {
    const body = await c.req.text();
    authenticate(c, body);
    const parameters = new URLSearchParams(body);
    const action = parameters.get("Action") ?? "";
    const operation = operations[action];
    if (!operation || parameters.get("Version") !== "2010-03-31") {
      throw new SnsError(400, "InvalidAction", `The action ${action} is not valid here.`);
    }
    return answer(action, operation(parameters));
  });
  app.onError((error) => {
    if (error instanceof SnsError) return refusal(error.status, error.code, error.message);
    console.error(error);
    return refusal(500, "InternalFailure", "The request failed for an unknown reason.");
  });

  function authenticate(c: Context<ObservedEnv>, body: string): void {
    const { rawPath, rawQuery } = c.var;
    // Signed was the whole path, and not what is below the mount.
    const path = topics.mountedAt + rawPath;
    try {
      verifySignature(
        { method: c.req.method, rawPath: path, rawQuery, headers: c.req.raw.headers },
        {
          secrets,
          regions: [AWS_REGION],
          service: "sns",
          payloadHash: createHash("sha256").update(body).digest("hex"),
          now: sandbox.clock.now(),
        },
      );
    } catch (error) {
      if (!(error instanceof S3Error)) throw error;
      if (error.code === "InvalidAccessKeyId") {
        throw new SnsError(
          403,
          "InvalidClientTokenId",
          "The security token included in the request is invalid.",
        );
      }
      throw new SnsError(403, error.code, error.message);
    }
  }

  const operations: Record<string, (parameters: Parameters) => Record<string, unknown> | null> = {
    CreateTopic: (p) => ({ TopicArn: topics.create(text(p, "Name")).arn }),
    DeleteTopic: (p) => (topics.delete(text(p, "TopicArn")), null),
    GetTopicAttributes: (p) => {
      const { arn, policy, displayName, signatureVersion } = topics.get(text(p, "TopicArn"));
      const all = topics.subscriptions(arn);
      return {
        Attributes: entries({
          TopicArn: arn,
          Owner: AWS_ACCOUNT,
          Policy: policy,
          DisplayName: displayName,
          SignatureVersion: signatureVersion,
          SubscriptionsConfirmed: String(all.filter(({ isConfirmed }) => isConfirmed).length),
          SubscriptionsPending: String(all.filter(({ isConfirmed }) => !isConfirmed).length),
          SubscriptionsDeleted: "0",
        }),
      };
    },
    SetTopicAttributes: (p) => {
      const topic = topics.get(text(p, "TopicArn"));
      const name = text(p, "AttributeName");
      const value = p.get("AttributeValue") ?? "";
      if (name === "Policy") topic.policy = checkedPolicy(value);
      else if (name === "DisplayName") topic.displayName = value;
      else if (name === "SignatureVersion" && (value === "1" || value === "2")) {
        topic.signatureVersion = value;
      } else throw invalid("AttributeName");
      return null;
    },
    Subscribe: (p) => {
      const { arn, isConfirmed } = topics.subscribe(
        text(p, "TopicArn"),
        text(p, "Protocol"),
        text(p, "Endpoint"),
      );
      const isTold = isConfirmed || p.get("ReturnSubscriptionArn") === "true";
      return { SubscriptionArn: isTold ? arn : "pending confirmation" };
    },
    ConfirmSubscription: confirm,
    ListSubscriptionsByTopic: (p) => {
      const { arn } = topics.get(text(p, "TopicArn"));
      const from = Number(p.get("NextToken") ?? 0);
      const all = topics.subscriptions(arn);
      const member = all.slice(from, from + PAGE).map((each) => ({
        SubscriptionArn: each.isConfirmed ? each.arn : "PendingConfirmation",
        Owner: AWS_ACCOUNT,
        Protocol: each.protocol,
        Endpoint: each.endpoint,
        TopicArn: arn,
      }));
      const isMore = all.length > from + PAGE;
      return { Subscriptions: { member }, ...(isMore ? { NextToken: from + PAGE } : {}) };
    },
    GetSubscriptionAttributes: (p) => {
      const { arn, topicArn, protocol, endpoint, isConfirmed, isRaw } = topics.subscription(
        text(p, "SubscriptionArn"),
      );
      return {
        Attributes: entries({
          SubscriptionArn: arn,
          TopicArn: topicArn,
          Owner: AWS_ACCOUNT,
          Protocol: protocol,
          Endpoint: endpoint,
          PendingConfirmation: String(!isConfirmed),
          ConfirmationWasAuthenticated: "false",
          RawMessageDelivery: String(isRaw),
        }),
      };
    },
    SetSubscriptionAttributes: (p) => {
      if (text(p, "AttributeName") !== "RawMessageDelivery") throw invalid("AttributeName");
      topics.setRaw(text(p, "SubscriptionArn"), p.get("AttributeValue") === "true");
      return null;
    },
    Unsubscribe: (p) => (topics.unsubscribe(text(p, "SubscriptionArn")), null),
    Publish: (p) => {
      const Subject = p.get("Subject");
      const message = { Message: text(p, "Message"), ...(Subject === null ? {} : { Subject }) };
      return { MessageId: topics.publish(text(p, "TopicArn"), message) };
    },
  };

  function confirm(parameters: Parameters) {
    const { arn } = topics.confirm(text(parameters, "TopicArn"), text(parameters, "Token"));
    return { SubscriptionArn: arn };
  }

  const control = new Hono();
  control.post("/sns/topics", async (c) => {
    const { name, buckets } = SnsTopicFixture.parse(await c.req.json());
    const topic = topics.create(name);
    const policy = JSON.parse(topic.policy);
    for (const bucket of buckets) {
      policy.Statement.push({
        Sid: `allow ${bucket}`,
        Effect: "Allow",
        Principal: { Service: "s3.amazonaws.com" },
        Action: "SNS:Publish",
        Resource: topic.arn,
        Condition: { ArnLike: { "aws:SourceArn": `arn:aws:s3:::${bucket}` } },
      });
    }
    topic.policy = JSON.stringify(policy);
    return c.json({ arn: topic.arn }, 201);
  });
  control.get("/sns/subscriptions", (c) => c.json({ subscriptions: topics.subscriptions() }));

  return {
    name: "sns",
    app,
    control,
    refuse: ({ status, error, retryAfter }: Refusal) =>
      retryAfter === undefined
        ? refusal(status ?? 500, error ?? "InternalFailure", error ?? "A fault was asked for.")
        : refusal(status ?? 400, error ?? "Throttled", "Rate exceeded"),
    reset: () => topics.reset(),
  };
}

/** @throws SnsError `InvalidParameter` */
function text(parameters: Parameters, name: string): string {
  const value = parameters.get(name);
  if (value) return value;
  throw invalid(name);
}

function invalid(name: string): SnsError {
  return new SnsError(400, "InvalidParameter", `Invalid parameter: ${name}`);
}

/** @throws SnsError `InvalidParameter` */
function checkedPolicy(policy: string): string {
  try {
    if (Array.isArray(JSON.parse(policy).Statement)) return policy;
  } catch {
    // Not JSON: refused like any other.
  }
  throw new SnsError(
    400,
    "InvalidParameter",
    "Invalid parameter: Policy statement action out of service scope!",
  );
}

function entries(map: Record<string, string>) {
  return { entry: Object.entries(map).map(([key, value]) => ({ key, value })) };
}

function answer(action: string, result: Record<string, unknown> | null): Response {
  const RequestId = crypto.randomUUID();
  const content = {
    ...(result ? { [`${action}Result`]: result } : {}),
    ResponseMetadata: { RequestId },
  };
  return new Response(writeXml(`${action}Response`, content, NAMESPACE), {
    headers: { "content-type": "text/xml", "x-amzn-requestid": RequestId },
  });
}

function refusal(status: number, Code: string, Message: string): Response {
  const RequestId = crypto.randomUUID();
  const Error = { Type: status < 500 ? "Sender" : "Receiver", Code, Message };
  return new Response(writeXml("ErrorResponse", { Error, RequestId }, NAMESPACE), {
    status,
    headers: { "content-type": "text/xml", "x-amzn-requestid": RequestId },
  });
}
