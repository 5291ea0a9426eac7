/** SNS and a bucket's notifications, as AWS' own clients use them. */
import {
  DeleteObjectCommand,
  GetBucketNotificationConfigurationCommand,
  PutBucketNotificationConfigurationCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import {
  CreateTopicCommand,
  GetSubscriptionAttributesCommand,
  GetTopicAttributesCommand,
  ListSubscriptionsByTopicCommand,
  SetTopicAttributesCommand,
  SNSClient,
  SubscribeCommand,
  UnsubscribeCommand,
} from "@aws-sdk/client-sns";
import assert from "node:assert/strict";
import { createVerify } from "node:crypto";
import { S3_CREDENTIALS } from "../../mod.ts";
import { useReceiver, useSandbox } from "../../testing.ts";

const { url, s3Url, control } = useSandbox();
const receiver = useReceiver();
const { region, ...credentials } = S3_CREDENTIALS;
const sns = new SNSClient({ endpoint: `${url}/sns`, region, credentials });
const s3 = new S3Client({ endpoint: s3Url, region, credentials, forcePathStyle: true });
Deno.test.afterAll(() => (sns.destroy(), s3.destroy()));

/** A message whose signature is the certificate's that it names. */
async function verified(body: string): Promise<Record<string, string>> {
  const message: Record<string, string> = JSON.parse(body);
  const certificate = await (await fetch(message.SigningCertURL!)).text();
  const members = message.Type === "Notification"
    ? ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    : ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];
  const verifier = createVerify(message.SignatureVersion === "2" ? "RSA-SHA256" : "RSA-SHA1");
  for (const name of members) {
    if (message[name] !== undefined) verifier.update(`${name}\n${message[name]}\n`);
  }
  assert.ok(verifier.verify(certificate, message.Signature!, "base64"));
  return message;
}

async function subscribed(topic: string): Promise<string> {
  const { SubscriptionArn } = await sns.send(
    new SubscribeCommand({
      TopicArn: topic,
      Protocol: "http",
      Endpoint: `${receiver.url}/hook`,
      ReturnSubscriptionArn: true,
    }),
  );
  const [asked] = await receiver.until(1);
  assert.equal(asked!.headers["x-amz-sns-message-type"], "SubscriptionConfirmation");
  const { SubscribeURL } = await verified(asked!.body);
  const confirmed = await fetch(SubscribeURL!);
  assert.equal(confirmed.status, 200);
  assert.ok((await confirmed.text()).includes(`<SubscriptionArn>${SubscriptionArn}<`));
  receiver.received.length = 0;
  return SubscriptionArn!;
}

Deno.test("a topic is made once, keeps its policy, and an unknown one is refused", async () => {
  const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: "uploads" }));
  assert.equal(TopicArn, "arn:aws:sns:us-east-1:123456789012:uploads");
  assert.equal((await sns.send(new CreateTopicCommand({ Name: "uploads" }))).TopicArn, TopicArn);
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [] });
  await sns.send(
    new SetTopicAttributesCommand({ TopicArn, AttributeName: "Policy", AttributeValue: Policy }),
  );
  const { Attributes } = await sns.send(new GetTopicAttributesCommand({ TopicArn }));
  assert.equal(Attributes!.Policy, Policy);
  await assert.rejects(
    sns.send(new GetTopicAttributesCommand({ TopicArn: `${TopicArn}-2` })),
    { name: "NotFoundException", message: "Topic does not exist" },
  );
});

Deno.test("wrong keys are told apart", async () => {
  const ask = async (changes: Partial<typeof credentials>) => {
    const client = new SNSClient({
      endpoint: `${url}/sns`,
      region,
      credentials: { ...credentials, ...changes },
    });
    try {
      await client.send(new CreateTopicCommand({ Name: "uploads" }));
    } finally {
      client.destroy();
    }
  };
  await assert.rejects(ask({ accessKeyId: "other" as never }), { name: "InvalidClientTokenId" });
  await assert.rejects(ask({ secretAccessKey: "other" as never }), {
    name: "SignatureDoesNotMatch",
  });
});

Deno.test("a subscription waits for its confirmation, and ends", async () => {
  const topic = await control.createTopic({ name: "uploads" });
  const arn = await subscribed(topic);
  const list = await sns.send(new ListSubscriptionsByTopicCommand({ TopicArn: topic }));
  assert.deepEqual(list.Subscriptions!.map(({ SubscriptionArn }) => SubscriptionArn), [arn]);
  const { Attributes } = await sns.send(
    new GetSubscriptionAttributesCommand({ SubscriptionArn: arn }),
  );
  assert.equal(Attributes!.PendingConfirmation, "false");
  assert.equal(Attributes!.RawMessageDelivery, "false");
  await sns.send(new UnsubscribeCommand({ SubscriptionArn: arn }));
  const [farewell] = await receiver.until(1);
  assert.equal((await verified(farewell!.body)).Type, "UnsubscribeConfirmation");
  assert.deepEqual(await control.snsSubscriptions(), []);
});

Deno.test("a bucket tells its topic of what passes the filter, in signed messages", async () => {
  await control.createBucket("files");
  const topic = await control.createTopic({ name: "uploads", buckets: ["files"] });
  await subscribed(topic);
  const configuration = {
    TopicConfigurations: [{
      Id: "csv",
      TopicArn: topic,
      Events: ["s3:ObjectCreated:*" as const, "s3:ObjectRemoved:Delete" as const],
      Filter: {
        Key: {
          FilterRules: [{ Name: "prefix" as const, Value: "in+box/" }, {
            Name: "suffix" as const,
            Value: ".csv",
          }],
        },
      },
    }],
    QueueConfigurations: [{
      Id: "theirs",
      QueueArn: "arn:aws:sqs:us-east-1:123456789012:all",
      Events: ["s3:ObjectTagging:*" as const],
    }],
    EventBridgeConfiguration: {},
  };
  await s3.send(
    new PutBucketNotificationConfigurationCommand({
      Bucket: "files",
      NotificationConfiguration: configuration,
    }),
  );
  const kept = await s3.send(new GetBucketNotificationConfigurationCommand({ Bucket: "files" }));
  const rules = kept.TopicConfigurations![0]!.Filter!.Key!.FilterRules!;
  assert.deepEqual(rules.map(({ Name, Value }) => [Name!.toLowerCase(), Value]), [
    ["prefix", "in+box/"],
    ["suffix", ".csv"],
  ]);
  assert.deepEqual(kept.QueueConfigurations, configuration.QueueConfigurations);
  assert.deepEqual(kept.EventBridgeConfiguration, {});

  for (const Key of ["in box/a b.csv", "in box/a.txt", "out/a.csv"]) {
    await s3.send(new PutObjectCommand({ Bucket: "files", Key, Body: "1,2" }));
  }
  await s3.send(new DeleteObjectCommand({ Bucket: "files", Key: "in box/a b.csv" }));
  const told = [];
  for (const { body } of await receiver.until(3)) {
    const message = JSON.parse((await verified(body)).Message!);
    const [record] = message.Records ?? [];
    told.push(record ? `${record.eventName} ${record.s3.object.key}` : message.Event);
  }
  assert.deepEqual(told.sort(), [
    "ObjectCreated:Put in+box/a+b.csv",
    "ObjectRemoved:Delete in+box/a+b.csv",
    "s3:TestEvent",
  ]);
});

Deno.test("a bucket refuses topics that it cannot use, and entries that overlap", async () => {
  await control.createBucket("files");
  const usable = await control.createTopic({ name: "uploads", buckets: ["files"] });
  const closed = await control.createTopic({ name: "closed" });
  const put = (...TopicArns: string[]) =>
    s3.send(
      new PutBucketNotificationConfigurationCommand({
        Bucket: "files",
        NotificationConfiguration: {
          TopicConfigurations: TopicArns.map((TopicArn) => ({
            TopicArn,
            Events: ["s3:ObjectCreated:*" as const],
          })),
        },
      }),
    );
  const refusal = async (work: Promise<unknown>): Promise<Record<string, string>> =>
    await work.then(() => assert.fail("it was taken"), (error) => error);
  const message = "Unable to validate the following destination configurations";
  const missing = await refusal(put(`${usable}-2`));
  assert.deepEqual([missing.name, missing.message], ["InvalidArgument", message]);
  assert.equal(missing.ArgumentValue1, "The destination topic does not exist");
  assert.match((await refusal(put(closed))).ArgumentValue1!, /^Permissions on the destination/);
  assert.match((await refusal(put(usable, usable))).message!, /^Configuration is ambiguously/);
  await control.setS3Flavour("r2");
  assert.equal((await refusal(put(usable))).name, "NotImplemented");
});
