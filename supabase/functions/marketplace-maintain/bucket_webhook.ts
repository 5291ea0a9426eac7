/**
 * Buckets of S3 that tell: the bucket publishes to a topic of SNS, the topic posts to
 * marketplace-webhook. Four things are kept, each only touched when it is not as it should be: the
 * topic and its policy (where it is ours), the bucket's entries, and the subscription.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html
 * @see https://docs.aws.amazon.com/sns/latest/dg/sns-http-https-endpoint-as-subscriber.html
 */
import { createHash } from "node:crypto";
import { AppError } from "../_shared/errors.ts";
import { type Call, type Called, CallError } from "../_shared/feeds/call.ts";
import { addressOf, type Kept, unlessGone, type WebhookTask } from "./webhook_task.ts";

/** An entry of a bucket's configuration, by the names of S3's XML. */
interface Entry {
  Id?: string;
  Topic?: string;
  Queue?: string;
  CloudFunction?: string;
  Event?: string[];
  Filter?: { S3Key?: { FilterRule?: { Name: string; Value: string }[] } };
}

/** What a bucket tells; members that are not named here are kept as they are. */
interface BucketConfiguration {
  TopicConfiguration?: Entry[];
  QueueConfiguration?: Entry[];
  CloudFunctionConfiguration?: Entry[];
}

interface Subscription {
  /** `PendingConfirmation` in lists, while it waits. */
  SubscriptionArn: string;
  Protocol: string;
  Endpoint: string;
}

/** Tells what the topic is, before anything that it sends can arrive. */
type NoteTopic = (topicArn: string) => Promise<void>;

/** Lets a bucket tell as it should, or no longer. */
export async function tendBucket(
  task: WebhookTask,
  call: Call,
  noteTopic: NoteTopic,
): Promise<Kept> {
  if (!task.is_wanted) {
    await keepEntries(task, call, []);
    if (!task.is_topic_shared) await endSubscription(task, call);
    return { hook_id: null };
  }
  const address = addressOf(task);
  const topic = await keepTopic(task, call);
  const isOther = task.topic_arn !== null && task.topic_arn !== topic;
  if (task.topic_arn !== topic) await noteTopic(topic);
  await keepEntries(task, call, entriesFor(task, topic), topic);
  if (isOther && !task.is_topic_shared) await endSubscription(task, call);
  const known = isOther ? null : task.hook_id;
  return await keepSubscription({ topic, address, known }, task, call);
}

// The topic -----------------------------------------------------------------------------------

/** The topic's ARN: the one that the settings name, or one that is made by that name. */
async function keepTopic(task: WebhookTask, call: Call): Promise<string> {
  const { sns_topic_arn: given, sns_topic_name: name } = task.integration.config;
  // Somebody else's: its policy is not ours to write.
  if (typeof given === "string") return given;
  if (typeof name !== "string") {
    throw new AppError(
      "webhook_misconfigured",
      422,
      "The integration names no SNS topic: set config.sns_topic_arn or config.sns_topic_name.",
    );
  }
  const isNamed = task.topic_arn?.endsWith(`:${name}`) === true;
  const known = isNamed ? await topicAttributes(task.topic_arn!, call) : undefined;
  const topic = known
    ? task.topic_arn!
    : (await call<{ TopicArn: string }>("sns.CreateTopic", { Name: name })).result.TopicArn;
  const attributes = known ?? await topicAttributes(topic, call);
  await keepPolicy({ topic, bucket: task.target, policy: attributes?.Policy }, call);
  return topic;
}

async function topicAttributes(TopicArn: string, call: Call) {
  const answer = await unlessGone(
    call<{ Attributes: Record<string, string> }>("sns.GetTopicAttributes", { TopicArn }),
  );
  return answer?.result.Attributes;
}

interface Policy {
  Version?: string;
  Statement?: { Sid?: string }[];
}

/**
 * Lets the bucket publish to the topic, and no bucket of another account by the same name. What
 * others may do stays.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html
 */
async function keepPolicy(
  { topic, bucket, policy }: { topic: string; bucket: string; policy: string | undefined },
  call: Call,
): Promise<void> {
  const [, partition, , , account] = topic.split(":");
  const wanted = {
    Sid: `MarketplaceS3${createHash("sha256").update(bucket).digest("hex").slice(0, 12)}`,
    Effect: "Allow",
    Principal: { Service: "s3.amazonaws.com" },
    Action: "SNS:Publish",
    Resource: topic,
    Condition: {
      ArnLike: { "aws:SourceArn": `arn:${partition}:s3:*:*:${bucket}` },
      StringEquals: { "aws:SourceAccount": account },
    },
  };
  const known: Policy = policy ? JSON.parse(policy) : { Version: "2012-10-17" };
  const statements = [known.Statement ?? []].flat();
  if (statements.some((statement) => canonical(statement) === canonical(wanted))) return;
  const others = statements.filter(({ Sid }) => Sid !== wanted.Sid);
  await call("sns.SetTopicAttributes", {
    TopicArn: topic,
    AttributeName: "Policy",
    AttributeValue: JSON.stringify({ ...known, Statement: [...others, wanted] }),
  });
}

// The bucket ----------------------------------------------------------------------------------

/** What the bucket is to tell us. */
function entriesFor(task: WebhookTask, topic: string): Entry[] {
  return (task.filters ?? ["*"]).map((filter, index) => {
    const [Prefix = "", Suffix = ""] = filter.split("*");
    const FilterRule = Object.entries({ Prefix, Suffix }).filter(([, value]) => value !== "")
      .map(([Name, value]) => ({ Name, Value: encodeKey(value) }));
    return {
      Id: `${ownIds(task)}${index + 1}`,
      Topic: topic,
      Event: task.event_types,
      ...(FilterRule.length > 0 ? { Filter: { S3Key: { FilterRule } } } : {}),
    };
  });
}

function ownIds({ integration }: WebhookTask): string {
  return `marketplace-${integration.slug}-`;
}

/**
 * Percent-encoded, a space as a plus.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html
 */
function encodeKey(text: string): string {
  return text.split("/").map(encodeURIComponent).join("/").replaceAll("%20", "+");
}

/** Puts our entries in place of our former ones; everybody else's stay as they are. */
async function keepEntries(
  task: WebhookTask,
  call: Call,
  wanted: Entry[],
  topic: string | null = null,
): Promise<void> {
  const { target: bucket } = task;
  const reading = call<BucketConfiguration>("GetBucketNotificationConfiguration", { bucket });
  const configuration = wanted.length > 0
    ? (await reading).result
    : (await unlessGone(reading))?.result;
  if (!configuration) return;
  const entries = configuration.TopicConfiguration ?? [];
  const isOurs = ({ Id, Topic }: Entry) =>
    Id?.startsWith(ownIds(task)) === true && /^\d+$/.test(Id.slice(ownIds(task).length)) &&
    (Topic === topic || Topic === task.topic_arn);
  if (describe(entries.filter(isOurs)) === describe(wanted)) return;
  const others = entries.filter((entry) => !isOurs(entry));
  try {
    await call("PutBucketNotificationConfiguration", {
      bucket,
      configuration: { ...configuration, TopicConfiguration: [...others, ...wanted] },
    });
  } catch (error) {
    const all = [
      ...others,
      ...configuration.QueueConfiguration ?? [],
      ...configuration.CloudFunctionConfiguration ?? [],
    ];
    throw explained(error, { bucket, topic, wanted, others: all });
  }
}

/** Entries as a text that is the same for what means the same. */
function describe(entries: Entry[]): string {
  return entries.map(({ Id, Topic, Event = [], Filter }) => {
    const rules = [Filter?.S3Key?.FilterRule ?? []].flat();
    const filter = rules.map(({ Name, Value }) => `${Name.toLowerCase()}=${Value}`);
    return JSON.stringify([Id, Topic, [...Event].sort(), filter.sort()]);
  }).sort().join("\n");
}

/** What S3 means by the refusals that it says little about. */
function explained(
  error: unknown,
  { bucket, topic, wanted, others }: {
    bucket: string;
    topic: string | null;
    wanted: Entry[];
    others: Entry[];
  },
): unknown {
  if (!(error instanceof CallError) || error.status !== 400) return error;
  const said = typeof error.body === "string" ? error.body : "";
  if (/Unable to validate the following destination/i.test(said)) {
    const reasons = [...said.matchAll(/<ArgumentValue\d*>([^<]+)</g)].map(([, text]) => text);
    return new AppError(
      "topic_not_usable",
      422,
      `S3 cannot publish to ${topic}: ${reasons.join(" ") || "it does not say why."} ` +
        `The topic must exist in the bucket's region and let s3.amazonaws.com SNS:Publish from ` +
        `arn:aws:s3:::${bucket}; config.sns_topic_name makes one that does.`,
    );
  }
  if (/overlap|ambiguously/i.test(said)) {
    const families = new Set(wanted.flatMap(({ Event = [] }) => Event.map(familyOf)));
    const rivals = others.filter(({ Event = [] }) =>
      Event.some((event) => families.has(familyOf(event)))
    );
    const names = rivals.map(({ Id, Topic, Queue, CloudFunction }) =>
      `${Id ?? "one without an id"} (${Topic ?? Queue ?? CloudFunction})`
    );
    return new AppError(
      "notifications_overlap",
      422,
      `${bucket} tells somebody else of such objects already: ${names.join(", ")}. ` +
        "S3 tells of an object in one place: narrow config.notification_filters, or publish that " +
        "entry to a topic and subscribe through it (config.sns_topic_arn, config.webhook.topic_arns).",
    );
  }
  return error;
}

/** `ObjectCreated` of `s3:ObjectCreated:Put`. */
function familyOf(event: string): string {
  return event.split(":")[1] ?? event;
}

// The subscription ----------------------------------------------------------------------------

async function keepSubscription(
  { topic, address, known }: { topic: string; address: string; known: string | null },
  task: WebhookTask,
  call: Call,
): Promise<Kept> {
  const arn = known ?? await findSubscription({ topic, address }, call);
  const attributes = arn === null ? undefined : await subscriptionAttributes(arn, call);
  const isHere = attributes?.Endpoint === address;
  if (attributes && !isHere) await endSubscription({ ...task, hook_id: arn }, call);
  if (arn !== null && attributes && isHere && attributes.PendingConfirmation !== "true") {
    // The signature is the message's own, and raw messages have none.
    if (attributes.RawMessageDelivery === "true") {
      await call("sns.SetSubscriptionAttributes", {
        SubscriptionArn: arn,
        AttributeName: "RawMessageDelivery",
        AttributeValue: "false",
      });
    }
    return { hook_id: arn };
  }
  // Of one that waits still, SNS sends its request once more.
  const { result } = await call<{ SubscriptionArn: string }>("sns.Subscribe", {
    TopicArn: topic,
    Protocol: new URL(address).protocol.slice(0, -1),
    Endpoint: address,
    ReturnSubscriptionArn: true,
  });
  return { hook_id: result.SubscriptionArn, is_pending: true };
}

/** One that was made and never noted, because the answer was lost, is known by its endpoint. */
async function findSubscription(
  { topic, address }: { topic: string; address: string },
  call: Call,
): Promise<string | null> {
  let parameters: Record<string, unknown> | null = { TopicArn: topic };
  while (parameters) {
    const page: Called<{ Subscriptions: Subscription[] }> = await call(
      "sns.ListSubscriptionsByTopic",
      parameters,
      { isPage: true },
    );
    const found = page.result.Subscriptions.find(({ Endpoint, SubscriptionArn }) =>
      Endpoint === address && SubscriptionArn.startsWith("arn:")
    );
    if (found) return found.SubscriptionArn;
    parameters = page.next;
  }
  return null;
}

async function subscriptionAttributes(SubscriptionArn: string, call: Call) {
  const answer = await unlessGone(
    call<{ Attributes: Record<string, string> }>("sns.GetSubscriptionAttributes", {
      SubscriptionArn,
    }),
  );
  return answer?.result.Attributes;
}

/** Ends a subscription; one that was never confirmed cannot be ended, and ends by itself. */
async function endSubscription(
  { hook_id, topic_arn, sent_address, address }: Pick<
    WebhookTask,
    "hook_id" | "topic_arn" | "sent_address" | "address"
  >,
  call: Call,
): Promise<void> {
  const endpoint = sent_address ?? address;
  const arn = hook_id ??
    (topic_arn === null || endpoint === null
      ? null
      : (await unlessGone(findSubscription({ topic: topic_arn, address: endpoint }, call))) ??
        null);
  if (arn === null) return;
  const attributes = await subscriptionAttributes(arn, call);
  if (!attributes || attributes.PendingConfirmation === "true") return;
  await unlessGone(call("sns.Unsubscribe", { SubscriptionArn: arn }));
}

/** JSON that does not depend on the order of members. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1)
    .map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`);
  return `{${members.join()}}`;
}
