import { randomUUID } from "node:crypto";
import { answerXml, type Call, type Operations, receiveXml } from "./call.ts";
import { S3Error } from "./errors.ts";
import type { NotificationConfiguration, NotificationEntry, S3Object } from "./objects.ts";

/**
 * What a bucket tells of its objects, and to whom.
 *
 * Topics are those of the sandbox's SNS. It has no queues and no functions: entries for those are
 * kept and tell nobody.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html
 */
export const notificationOperations: Operations = {
  "GET bucket?notification": { run: getNotifications, parameters: ["notification"] },
  "PUT bucket?notification": { run: putNotifications, parameters: ["notification"] },
};

const DESTINATIONS = {
  TopicConfiguration: "Topic",
  QueueConfiguration: "Queue",
  CloudFunctionConfiguration: "CloudFunction",
} as const;
const EVENTS = new RegExp(
  "^s3:(ObjectCreated:(\\*|Put|Post|Copy|CompleteMultipartUpload)" +
    "|ObjectRemoved:(\\*|Delete|DeleteMarkerCreated)" +
    "|ObjectRestore:(\\*|Post|Completed|Delete)|ObjectTagging:(\\*|Put|Delete)|ObjectAcl:Put" +
    "|LifecycleExpiration:(\\*|Delete|DeleteMarkerCreated)|LifecycleTransition" +
    "|IntelligentTiering|ReducedRedundancyLostObject|Replication:.+)$",
);
const REGION = "us-east-1";

function getNotifications(call: Call): Response {
  const { buckets, bucket } = call;
  checkFlavour(call);
  const { notifications = {} } = buckets.get(bucket);
  return answerXml("NotificationConfiguration", { ...notifications });
}

async function putNotifications(call: Call): Promise<Response> {
  const { buckets, bucket, topics } = call;
  checkFlavour(call);
  const document = await receiveXml(call);
  const root = document.NotificationConfiguration;
  if (root === undefined) throw new S3Error("MalformedXML");
  const { "@xmlns": _, ...wanted } = (root || {}) as Record<string, unknown>;
  const configuration = readConfiguration(wanted);
  const kept = buckets.get(bucket);
  checkOverlaps(allOf(configuration));
  checkTopics(call, configuration);
  kept.notifications = configuration;
  for (const { Topic } of configuration.TopicConfiguration ?? []) {
    const test = {
      Service: "Amazon S3",
      Event: "s3:TestEvent",
      Time: new Date().toISOString(),
      Bucket: bucket,
      RequestId: randomUUID(),
      HostId: "sandbox",
    };
    topics.publish(Topic!, { Subject: "Amazon S3 Notification", Message: JSON.stringify(test) });
  }
  return new Response(null);
}

/** @throws S3Error `NotImplemented` */
function checkFlavour({ flavour }: Call): void {
  if (flavour.notifications) return;
  throw new S3Error("NotImplemented", "BucketNotificationConfiguration not implemented");
}

/** Tells of an object, whoever is to hear of it. */
export function notify(call: Call, event: string, object?: S3Object): void {
  const { buckets, bucket, key, topics, sandbox } = call;
  const { notifications } = buckets.get(bucket);
  for (const { Id, Topic, Event, Filter } of notifications?.TopicConfiguration ?? []) {
    const isMeant = Event.some((name) => covers(name, `s3:${event}`)) && passes(key, Filter);
    // The policy may have changed since.
    if (!isMeant || !isUsable(call, Topic!)) continue;
    const record = {
      eventVersion: "2.1",
      eventSource: "aws:s3",
      awsRegion: REGION,
      eventTime: new Date(sandbox.clock.now()).toISOString(),
      eventName: event,
      userIdentity: { principalId: "AWS:SANDBOX" },
      requestParameters: { sourceIPAddress: "127.0.0.1" },
      responseElements: { "x-amz-request-id": randomUUID(), "x-amz-id-2": "sandbox" },
      s3: {
        s3SchemaVersion: "1.0",
        configurationId: Id,
        bucket: {
          name: bucket,
          ownerIdentity: { principalId: "SANDBOX" },
          arn: `arn:aws:s3:::${bucket}`,
        },
        object: {
          key: encodeKey(key),
          ...(object ? { size: object.content.size, eTag: object.etag } : {}),
          sequencer: sequencer(),
        },
      },
    };
    const Message = JSON.stringify({ Records: [record] });
    topics.publish(Topic!, { Subject: "Amazon S3 Notification", Message });
  }
}

/** @throws S3Error `MalformedXML`, `InvalidArgument` */
function readConfiguration(wanted: Record<string, unknown>): NotificationConfiguration {
  const configuration: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(wanted)) {
    if (name === "EventBridgeConfiguration") configuration[name] = "";
    else if (Object.hasOwn(DESTINATIONS, name)) {
      const destination = DESTINATIONS[name as keyof typeof DESTINATIONS];
      configuration[name] = (value as Partial<NotificationEntry>[]).map((entry) =>
        readEntry(entry, destination)
      );
    } else throw new S3Error("MalformedXML");
  }
  return configuration;
}

function readEntry(
  entry: Partial<NotificationEntry>,
  destination: "Topic" | "Queue" | "CloudFunction",
): NotificationEntry {
  const { Id = randomUUID(), Event, Filter, [destination]: arn } = entry;
  if (!arn || !Event?.length) throw new S3Error("MalformedXML");
  if (!/^arn:aws:(sns|sqs|lambda):/.test(arn)) {
    throw new S3Error("InvalidArgument", "The ARN could not be parsed");
  }
  if (!Event.every((event) => EVENTS.test(event))) {
    throw new S3Error("InvalidArgument", "A specified event is not supported for notifications.");
  }
  const rules = Filter?.S3Key?.FilterRule ?? [];
  if (!rules.every(({ Name }) => /^(prefix|suffix)$/i.test(Name))) {
    throw new S3Error("InvalidArgument", "filter rule name must be either prefix or suffix");
  }
  const named = rules.map(({ Name, Value }) => ({
    Name: Name.toLowerCase() === "prefix" ? "Prefix" : "Suffix",
    Value: Value ?? "",
  }));
  return {
    Id,
    [destination]: arn,
    Event,
    ...(named.length > 0 ? { Filter: { S3Key: { FilterRule: named } } } : {}),
  };
}

/** @throws S3Error `InvalidArgument` */
function checkOverlaps(entries: NotificationEntry[]): void {
  if (new Set(entries.map(({ Id }) => Id)).size < entries.length) {
    throw new S3Error("InvalidArgument", "Same ID used for multiple configurations.");
  }
  for (const [index, a] of entries.entries()) {
    for (const b of entries.slice(index + 1)) {
      const sharesEvent = a.Event.some((x) => b.Event.some((y) => covers(x, y) || covers(y, x)));
      const [p, q] = [filterOf(a), filterOf(b)];
      const meets = (p.prefix.startsWith(q.prefix) || q.prefix.startsWith(p.prefix)) &&
        (p.suffix.endsWith(q.suffix) || q.suffix.endsWith(p.suffix));
      if (!sharesEvent || !meets) continue;
      throw new S3Error(
        "InvalidArgument",
        "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules " +
          "if the prefixes are overlapping for the same event type.",
      );
    }
  }
}

/** @throws S3Error `InvalidArgument` */
function checkTopics(call: Call, { TopicConfiguration = [] }: NotificationConfiguration): void {
  const details: Record<string, string> = {};
  for (const { Topic } of TopicConfiguration) {
    if (isUsable(call, Topic!)) continue;
    const n = Object.keys(details).length / 2 + 1;
    details[`ArgumentName${n}`] = `${Topic}, null`;
    details[`ArgumentValue${n}`] = isThere(call, Topic!)
      ? "Permissions on the destination topic do not allow S3 to publish notifications from this bucket"
      : "The destination topic does not exist";
  }
  if (Object.keys(details).length === 0) return;
  throw new S3Error(
    "InvalidArgument",
    "Unable to validate the following destination configurations",
    details,
  );
}

function isUsable(call: Call, topic: string): boolean {
  return isThere(call, topic) && call.topics.allowsBucket(topic, call.bucket);
}

function isThere({ topics }: Call, topic: string): boolean {
  try {
    return Boolean(topics.get(topic));
  } catch {
    return false;
  }
}

function allOf(configuration: NotificationConfiguration): NotificationEntry[] {
  return (Object.keys(DESTINATIONS) as (keyof typeof DESTINATIONS)[])
    .flatMap((name) => configuration[name] ?? []);
}

/** Whether an event, or a family of them, is of another. */
function covers(name: string, event: string): boolean {
  return name === event || name.endsWith("*") && event.startsWith(name.slice(0, -1));
}

function passes(key: string, Filter: NotificationEntry["Filter"]): boolean {
  const { prefix, suffix } = filterOf({ Filter });
  return key.startsWith(prefix) && key.endsWith(suffix);
}

function filterOf({ Filter }: Pick<NotificationEntry, "Filter">) {
  const rules = Filter?.S3Key.FilterRule ?? [];
  const value = (name: string) =>
    decodeURIComponent((rules.find(({ Name }) => Name === name)?.Value ?? "").replaceAll("+", " "));
  return { prefix: value("Prefix"), suffix: value("Suffix") };
}

/** As S3 writes keys into events. */
function encodeKey(key: string): string {
  return key.split("/").map(encodeURIComponent).join("/").replaceAll("%20", "+");
}

let count = 0;
/** Grows with each event. */
function sequencer(): string {
  return (Date.now() * 1000 + count++ % 1000).toString(16).toUpperCase().padStart(18, "0");
}
