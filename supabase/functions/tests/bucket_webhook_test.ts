// Buckets of S3 that tell through SNS: made, kept and taken away by the platform.
import {
  GetBucketNotificationConfigurationCommand,
  type NotificationConfiguration,
  PutBucketNotificationConfigurationCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { SetSubscriptionAttributesCommand, SNSClient } from "@aws-sdk/client-sns";
import assert from "node:assert/strict";
import { S3_CREDENTIALS } from "../../../scripts/sandbox/mod.ts";
import { type Account, Feeds } from "./support_feeds.ts";
import { until, useDatabase } from "./support_queue.ts";

const sql = useDatabase();
const feeds = Feeds.start(sql);
const { client } = feeds;
const { region, ...credentials } = S3_CREDENTIALS;
const s3 = new S3Client({
  endpoint: feeds.sandbox.s3Url,
  region,
  credentials,
  forcePathStyle: true,
});
const sns = new SNSClient({ endpoint: `${feeds.sandbox.url}/sns`, region, credentials });
const BUCKET = "files";
const THEIRS = {
  Id: "theirs",
  QueueArn: "arn:aws:sqs:us-east-1:123456789012:audit",
  Events: ["s3:ObjectTagging:*" as const],
};

Deno.test.beforeEach(async () => {
  await feeds.reset();
  await client.createBucket(BUCKET);
});
Deno.test.afterAll(async () => {
  s3.destroy();
  sns.destroy();
  await feeds.stop();
});

/** An integration of the sandbox's S3, with a credential. */
async function bucket(config: Record<string, unknown>): Promise<Account> {
  return await feeds.account("aws_s3", { bucket: BUCKET, ...config });
}

async function ensure({ slug }: Account): Promise<void> {
  await sql`select marketplace.ensure_webhook(${slug})`;
  await feeds.maintain();
}

async function hookOf({ id }: Account) {
  const [row] = await sql`
    select status, error_message, hook_id, topic_arn, sent_filters, failure_count
    from marketplace.provider_webhooks where integration_id = ${id}
  `;
  return row!;
}

async function active(account: Account) {
  return await until(async () => {
    const hook = await hookOf(account);
    return hook.status === "active" && hook;
  }, `the bucket of ${account.slug} to tell`);
}

async function notifications(): Promise<NotificationConfiguration> {
  const { $metadata: _, ...told } = await s3.send(
    new GetBucketNotificationConfigurationCommand({ Bucket: BUCKET }),
  );
  return told;
}

async function putObject(Key: string, Body = "content"): Promise<void> {
  await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body }));
}

async function rule({ id }: Account, types: string[], pattern: string): Promise<void> {
  const [workflow] = await sql`select id from marketplace.workflows limit 1`;
  await sql`
    insert into marketplace.sync_rules (name, source_integration_id, workflow_id, event_types, source_pattern)
    values ('feeds test', ${id}, ${workflow!.id}, ${types}, ${pattern})
  `;
}

/** Actions that the platform has run for an integration. */
async function actions({ id }: Account): Promise<string[]> {
  const rows = await sql`
    select action from marketplace.execution_logs where integration_id = ${id} order by created_at, id
  `;
  return rows.map(({ action }) => action);
}

Deno.test("from ensure_webhook to an object that arrives, once", async () => {
  await s3.send(
    new PutBucketNotificationConfigurationCommand({
      Bucket: BUCKET,
      NotificationConfiguration: { QueueConfigurations: [THEIRS], EventBridgeConfiguration: {} },
    }),
  );
  const account = await bucket({ sns_topic_name: "uploads" });
  await ensure(account);
  const { topic_arn, hook_id } = await active(account);
  assert.equal(topic_arn, "arn:aws:sns:us-east-1:123456789012:uploads");
  const [subscription] = await client.snsSubscriptions();
  assert.deepEqual([subscription!.arn, subscription!.isConfirmed], [hook_id, true]);
  const told = await notifications();
  assert.deepEqual(told.TopicConfigurations, [{
    Id: `marketplace-${account.slug}-1`,
    TopicArn: topic_arn,
    Events: ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
  }]);
  assert.deepEqual(told.QueueConfigurations, [THEIRS], "another's entry stays");
  assert.deepEqual(told.EventBridgeConfiguration, {});

  await putObject("in box/a b.csv");
  await until(
    async () => (await feeds.events(account)).length > 0,
    "the object's event",
  );
  // The same message again is the same event.
  await client.setPushes({ provider: "sns", copies: 3 });
  await putObject("in box/c.csv");
  await until(async () => (await feeds.events(account)).length > 1, "the next one");
  await until(
    async () => (await client.pushes()).every(({ state }) => state === "delivered"),
    "all copies to be taken",
  );
  const events = await feeds.events(account);
  assert.deepEqual(
    events.map(({ event_type, resource_path, account }) => [event_type, resource_path, account]),
    [
      ["s3.ObjectCreated:Put", "objects/in box/a b.csv", BUCKET],
      ["s3.ObjectCreated:Put", "objects/in box/c.csv", BUCKET],
    ],
  );
});

Deno.test("what is as it should be is only read; what is not is mended", async () => {
  const account = await bucket({ sns_topic_name: "uploads" });
  await ensure(account);
  const { hook_id } = await active(account);
  const before = await notifications();
  const already = (await actions(account)).length;
  await ensure(account);
  assert.equal((await active(account)).hook_id, hook_id);
  assert.deepEqual((await actions(account)).slice(already).sort(), [
    "GetBucketNotificationConfiguration",
    "sns.GetSubscriptionAttributes",
    "sns.GetTopicAttributes",
  ]);
  assert.deepEqual(await notifications(), before);

  // Somebody has meddled with all of it.
  await s3.send(
    new PutBucketNotificationConfigurationCommand({
      Bucket: BUCKET,
      NotificationConfiguration: { QueueConfigurations: [THEIRS] },
    }),
  );
  await sns.send(
    new SetSubscriptionAttributesCommand({
      SubscriptionArn: hook_id,
      AttributeName: "RawMessageDelivery",
      AttributeValue: "true",
    }),
  );
  await ensure(account);
  assert.deepEqual(await notifications(), { ...before, QueueConfigurations: [THEIRS] });
  assert.equal((await client.snsSubscriptions())[0]!.isRaw, false);
  await putObject("mended");
  assert.equal((await feeds.received(account, 1))[0]!.resource_path, "objects/mended");
});

Deno.test("rules decide which events and which keys are told", async () => {
  const account = await bucket({ sns_topic_name: "uploads" });
  await rule(account, ["s3.ObjectCreated:*"], "objects/in box/**/*.csv");
  await rule(account, ["s3.ObjectCreated:Put", "s3.ObjectRemoved:Delete"], "objects/logs/*");
  await ensure(account);
  assert.deepEqual((await active(account)).sent_filters, ["in box/*.csv", "logs/*"]);
  const { TopicConfigurations = [] } = await notifications();
  assert.deepEqual(
    TopicConfigurations.map(({ Events, Filter }) => [
      Events,
      Filter!.Key!.FilterRules!.map(({ Value }) => Value),
    ]),
    [
      [["s3:ObjectCreated:*", "s3:ObjectRemoved:Delete"], ["in+box/", ".csv"]],
      [["s3:ObjectCreated:*", "s3:ObjectRemoved:Delete"], ["logs/"]],
    ],
  );
  for (const key of ["in box/2026/a.csv", "in box/a.txt", "logs/a", "else"]) await putObject(key);
  const events = await feeds.received(account, 2);
  assert.deepEqual(events.map(({ resource_path }) => resource_path).sort(), [
    "objects/in box/2026/a.csv",
    "objects/logs/a",
  ]);

  await sql`
    update marketplace.integrations set config = config || '{"notification_filters": ["else"]}'
    where id = ${account.id}
  `;
  await feeds.maintain();
  assert.deepEqual((await active(account)).sent_filters, ["else*"]);
  assert.equal((await notifications()).TopicConfigurations!.length, 1);
});

Deno.test("it is pending until SNS was answered, and asked again meanwhile", async () => {
  await client.setPushes({ provider: "sns", delivery: "drop" });
  const account = await bucket({ sns_topic_name: "uploads" });
  await ensure(account);
  const waiting = await hookOf(account);
  assert.deepEqual([waiting.status, waiting.failure_count], ["pending", 1]);
  const [shown] = await sql`
    select status, error_message from marketplace.v_watch_channels where integration = ${account.slug}
  `;
  assert.equal(shown!.status, "pending");
  assert.match(shown!.error_message, /confirm the subscription to arn:aws:sns/);
  await client.setPushes({ provider: "sns", delivery: "now" });
  await ensure(account);
  assert.equal((await active(account)).hook_id, waiting.hook_id);
});

Deno.test("taken away, our entry and subscription go, and nothing else", async () => {
  const topic = await client.createTopic({ name: "given", buckets: [BUCKET, "other"] });
  const others = { Id: "theirs-too", TopicArn: topic, Events: ["s3:ObjectRestore:*" as const] };
  await s3.send(
    new PutBucketNotificationConfigurationCommand({
      Bucket: BUCKET,
      NotificationConfiguration: { TopicConfigurations: [others], QueueConfigurations: [THEIRS] },
    }),
  );
  await client.createBucket("other");
  const account = await bucket({ sns_topic_arn: topic });
  await ensure(account);
  const { hook_id } = await active(account);
  await sql`select marketplace.ensure_webhook(${account.slug}, 'other')`;
  await feeds.maintain();
  assert.equal((await client.snsSubscriptions()).length, 1, "one subscription serves both");

  const [row] = await sql`select marketplace.remove_webhook(${account.slug}) as done`;
  assert.equal(row!.done, true);
  await feeds.maintain();
  assert.deepEqual(await notifications(), {
    TopicConfigurations: [others],
    QueueConfigurations: [THEIRS],
  });
  assert.equal((await client.snsSubscriptions())[0]!.arn, hook_id, "the other bucket's stays");
  await sql`select marketplace.remove_webhook(${account.slug}, 'other')`;
  await feeds.maintain();
  await until(
    async () => (await client.snsSubscriptions()).length === 0,
    "the subscription to end",
  );
  const statuses = await sql`
    select distinct status from marketplace.provider_webhooks where integration_id = ${account.id}
  `;
  assert.deepEqual(statuses.map(({ status }) => status), ["removed"]);
  const [{ sns_topic_arns }] = await sql`
    select sns_topic_arns from marketplace.integrations where id = ${account.id}
  ` as unknown as [{ sns_topic_arns: string[] }];
  assert.deepEqual(sns_topic_arns, [], "its messages count no longer");
});

Deno.test("what AWS refuses is said in words that help", async () => {
  const failure = async (config: Record<string, unknown>, prepare?: (a: Account) => unknown) => {
    const account = await bucket(config);
    await prepare?.(account);
    await ensure(account);
    const { status, error_message } = await hookOf(account);
    assert.equal(status, "failing");
    return error_message;
  };
  const missing = "arn:aws:sns:us-east-1:123456789012:nowhere";
  assert.match(
    await failure({ sns_topic_arn: missing }),
    /cannot publish to arn:\S+:nowhere: The destination topic does not exist/,
  );
  const closed = await client.createTopic({ name: "closed" });
  assert.match(
    await failure({ sns_topic_arn: closed }),
    /Permissions on the destination topic do not allow .* config\.sns_topic_name makes one/,
  );
  assert.match(
    await failure({ sns_topic_name: "uploads", bucket: "nowhere" }),
    /The specified bucket does not exist/,
  );
  assert.match(
    await failure(
      { sns_topic_name: "uploads" },
      ({ slug }) =>
        sql`select marketplace.set_integration_secret(${slug}, 'access_key_id', 'unknown')`,
    ),
    /The security token included in the request is invalid/,
  );
  await s3.send(
    new PutBucketNotificationConfigurationCommand({
      Bucket: BUCKET,
      NotificationConfiguration: {
        QueueConfigurations: [{ ...THEIRS, Events: ["s3:ObjectCreated:Put"] }],
      },
    }),
  );
  assert.match(
    await failure({ sns_topic_name: "uploads" }),
    /tells somebody else of such objects already: theirs \(arn:aws:sqs:\S+:audit\)/,
  );
});

Deno.test("an integration that is switched off tells nothing, and tells again when it is on", async () => {
  const account = await bucket({ sns_topic_name: "uploads" });
  await ensure(account);
  await active(account);
  await sql`update marketplace.integrations set status = 'inactive' where id = ${account.id}`;
  await feeds.maintain();
  await until(
    async () => (await client.snsSubscriptions()).length === 0,
    "the subscription to end",
  );
  assert.deepEqual(await notifications(), {});
  await sql`update marketplace.integrations set status = 'active' where id = ${account.id}`;
  await feeds.maintain();
  await active(account);
  await putObject("again");
  assert.equal((await feeds.received(account, 1))[0]!.resource_path, "objects/again");
});
