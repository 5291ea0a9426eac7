import { createSign, randomUUID } from "node:crypto";
import { isLoopback } from "../../core/pushes.ts";
import type { Sandbox } from "../../core/provider.ts";

/** Whose account all topics are in. */
export const AWS_ACCOUNT = "123456789012";
/** Where they are. */
export const AWS_REGION = "us-east-1";

/** A failure with the status and code that SNS answers. */
export class SnsError extends Error {
  constructor(readonly status: number, readonly code: string, message: string) {
    super(message);
  }
}

/** A topic of SNS. */
export interface Topic {
  arn: string;
  policy: string;
  /** `1` is SHA-1, `2` is SHA-256. */
  signatureVersion: "1" | "2";
  displayName: string;
}

/** A subscription, as an assertion sees it too. */
export interface Subscription {
  arn: string;
  topicArn: string;
  protocol: string;
  endpoint: string;
  isConfirmed: boolean;
  isRaw: boolean;
}

interface Pending extends Subscription {
  token: string;
}

/** A message before it is signed; members by the names that SNS gives them. */
type Message = Record<string, string>;

const CERTIFICATE = "SimpleNotificationService-0123456789abcdef0123456789abcdef.pem";

/** The signed members of each type, in byte order. */
const SIGNED = {
  Notification: ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
  confirmation: ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
};

/**
 * The topics of the sandbox's SNS, and who has subscribed to them. Messages are signed with a
 * certificate of the sandbox's own and posted to endpoints of this machine.
 *
 * @see https://docs.aws.amazon.com/sns/latest/dg/sns-http-https-endpoint-as-subscriber.html
 */
export class Topics {
  #topics = new Map<string, Topic>();
  #subscriptions = new Map<string, Pending>();
  #keys: Promise<{ private: string; cert: string }> | undefined;

  /** @param mountedAt below which path of the REST port the service is */
  constructor(readonly sandbox: Sandbox, readonly mountedAt: string) {}

  /** Makes a topic; one that exists is given back. @throws SnsError */
  create(name: string): Topic {
    if (!/^[A-Za-z0-9_-]{1,256}$/.test(name)) {
      throw new SnsError(400, "InvalidParameter", "Invalid parameter: Topic Name");
    }
    const arn = `arn:aws:sns:${AWS_REGION}:${AWS_ACCOUNT}:${name}`;
    const known = this.#topics.get(arn);
    if (known) return known;
    const policy = JSON.stringify(usualPolicy(arn));
    const topic: Topic = { arn, policy, signatureVersion: "1", displayName: "" };
    this.#topics.set(arn, topic);
    return topic;
  }

  /** @throws SnsError `NotFound` */
  get(arn: string): Topic {
    const topic = this.#topics.get(arn);
    if (topic) return topic;
    throw new SnsError(404, "NotFound", "Topic does not exist");
  }

  /** Deletes a topic with its subscriptions; one that is not there is deleted, too. */
  delete(arn: string): void {
    this.#topics.delete(arn);
    for (const each of this.subscriptions(arn)) this.#subscriptions.delete(each.arn);
  }

  /** All of them, or those of one topic. */
  subscriptions(topicArn?: string): Subscription[] {
    return [...this.#subscriptions.values()]
      .filter((each) => topicArn === undefined || each.topicArn === topicArn)
      .map(({ token: _token, ...subscription }) => subscription);
  }

  /** @throws SnsError `NotFound` */
  subscription(arn: string): Subscription {
    const subscription = this.#subscriptions.get(arn);
    if (subscription) return subscription;
    throw new SnsError(404, "NotFound", "Subscription does not exist");
  }

  /**
   * Subscribes an endpoint, and asks it to confirm; whoever waits for confirmation is asked again.
   *
   * @throws SnsError `NotFound`, `InvalidParameter`
   */
  subscribe(topicArn: string, protocol: string, endpoint: string): Subscription {
    this.get(topicArn);
    if (!/^https?$/.test(protocol) || !endpoint.startsWith(`${protocol}://`)) {
      throw new SnsError(
        400,
        "InvalidParameter",
        "Invalid parameter: Endpoint must match the specified protocol",
      );
    }
    if (!isLoopback(endpoint)) {
      throw new SnsError(400, "InvalidParameter", "Invalid parameter: Unreachable Endpoint");
    }
    const known = [...this.#subscriptions.values()].find((each) =>
      each.topicArn === topicArn && each.protocol === protocol && each.endpoint === endpoint
    );
    const subscription = known ?? {
      arn: `${topicArn}:${randomUUID()}`,
      topicArn,
      protocol,
      endpoint,
      isConfirmed: false,
      isRaw: false,
      token: "",
    };
    if (subscription.isConfirmed) return subscription;
    subscription.token = randomUUID().replaceAll("-", "") + randomUUID().replaceAll("-", "");
    this.#subscriptions.set(subscription.arn, subscription);
    void this.#ask("SubscriptionConfirmation", subscription);
    return subscription;
  }

  /** @throws SnsError `InvalidParameter`, `NotFound` */
  confirm(topicArn: string, token: string): Subscription {
    this.get(topicArn);
    const subscription = [...this.#subscriptions.values()].find((each) =>
      each.topicArn === topicArn && each.token === token
    );
    if (!subscription) throw new SnsError(400, "InvalidParameter", "Invalid parameter: Token");
    subscription.isConfirmed = true;
    return subscription;
  }

  /** @throws SnsError `InvalidParameter` while it is not confirmed */
  unsubscribe(arn: string): void {
    const subscription = this.#subscriptions.get(arn);
    if (!subscription) return;
    if (!subscription.isConfirmed) {
      throw new SnsError(
        400,
        "InvalidParameter",
        "Invalid parameter: SubscriptionArn Reason: the subscription is pending confirmation",
      );
    }
    this.#subscriptions.delete(arn);
    subscription.token = randomUUID().replaceAll("-", "");
    void this.#ask("UnsubscribeConfirmation", subscription);
  }

  /** Whether raw messages are sent. @throws SnsError `NotFound` */
  setRaw(arn: string, isRaw: boolean): void {
    this.subscription(arn);
    this.#subscriptions.get(arn)!.isRaw = isRaw;
  }

  /** Publishes a message to all whose subscription is confirmed. Returns at once. */
  publish(topicArn: string, text: { Message: string; Subject?: string }): string {
    const topic = this.get(topicArn);
    const MessageId = randomUUID();
    const message: Message = { Type: "Notification", MessageId, TopicArn: topicArn, ...text };
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.topicArn !== topicArn || !subscription.isConfirmed) continue;
      void this.#post(topic, subscription, message);
    }
    return MessageId;
  }

  /**
   * Whether the topic's policy lets S3 publish what happens in a bucket.
   *
   * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html
   */
  allowsBucket(topicArn: string, bucket: string): boolean {
    const { Statement = [] } = JSON.parse(this.get(topicArn).policy) as { Statement?: Rule[] };
    return [Statement].flat().some(({ Effect, Principal, Action = [], Condition = {} }) => {
      if (Effect !== "Allow" || typeof Principal !== "object") return false;
      if (![Principal.Service ?? []].flat().includes("s3.amazonaws.com")) return false;
      if (![Action].flat().some((action) => /^sns:(publish|\*)$/i.test(action))) return false;
      return Object.values(Condition).every((values) =>
        Object.entries(values).every(([name, patterns]) => {
          const key = name.toLowerCase();
          if (key === "aws:sourceaccount") return [patterns].flat().includes(AWS_ACCOUNT);
          if (key !== "aws:sourcearn") return false;
          return [patterns].flat().some((pattern) => isArnLike(`arn:aws:s3:::${bucket}`, pattern));
        })
      );
    });
  }

  /** What proves the messages. */
  async certificate(): Promise<string> {
    return (await this.#keyPair()).cert;
  }

  /** Where {@linkcode Topics.certificate} is served, below the service. */
  get certificatePath(): string {
    return `/${CERTIFICATE}`;
  }

  reset(): void {
    this.#topics.clear();
    this.#subscriptions.clear();
  }

  async #ask(Type: string, subscription: Pending): Promise<void> {
    const { topicArn, token } = subscription;
    const query = new URLSearchParams({
      Action: "ConfirmSubscription",
      TopicArn: topicArn,
      Token: token,
    });
    await this.#post(this.get(topicArn), subscription, {
      Type,
      MessageId: randomUUID(),
      Token: token,
      TopicArn: topicArn,
      Message: Type === "SubscriptionConfirmation"
        ? `You have chosen to subscribe to the topic ${topicArn}.\nTo confirm the subscription, visit the SubscribeURL included in this message.`
        : `You have chosen to deactivate subscription ${subscription.arn}.\nTo cancel this operation and restore the subscription, visit the SubscribeURL included in this message.`,
      SubscribeURL: `${this.#url()}/?${query}`,
    });
  }

  async #post(topic: Topic, subscription: Subscription, message: Message): Promise<void> {
    const signed = await this.#sign(topic, message);
    const isNotification = message.Type === "Notification";
    // A reset while it was signed: nobody is to hear of what is forgotten.
    if (this.#topics.get(topic.arn) !== topic) return;
    const isRaw = isNotification && subscription.isRaw;
    await this.sandbox.pushes.send({
      provider: "sns",
      url: subscription.endpoint,
      headers: {
        "content-type": "text/plain; charset=UTF-8",
        "user-agent": "Amazon Simple Notification Service Agent",
        "x-amz-sns-message-id": message.MessageId!,
        "x-amz-sns-message-type": message.Type!,
        "x-amz-sns-topic-arn": topic.arn,
        ...(isNotification ? { "x-amz-sns-subscription-arn": subscription.arn } : {}),
        ...(isRaw ? { "x-amz-sns-rawdelivery": "true" } : {}),
      },
      body: isRaw ? message.Message! : JSON.stringify(
        isNotification
          ? {
            ...signed,
            UnsubscribeURL:
              `${this.#url()}/?Action=Unsubscribe&SubscriptionArn=${subscription.arn}`,
          }
          : signed,
        null,
        2,
      ),
      // What a client error means once it means always.
      retryOn: (status) => status < 200 || status === 429 || status >= 500,
    });
  }

  async #sign(topic: Topic, message: Message): Promise<Message> {
    // Real time: who verifies the message knows nothing of the sandbox's clock.
    const dated: Message = { ...message, Timestamp: new Date().toISOString() };
    const members = dated.Type === "Notification" ? SIGNED.Notification : SIGNED.confirmation;
    const signer = createSign(topic.signatureVersion === "2" ? "RSA-SHA256" : "RSA-SHA1");
    for (const name of members) {
      if (dated[name] !== undefined) signer.update(`${name}\n${dated[name]}\n`);
    }
    return {
      ...dated,
      SignatureVersion: topic.signatureVersion,
      Signature: signer.sign((await this.#keyPair()).private, "base64"),
      SigningCertURL: `${this.#url()}${this.certificatePath}`,
    };
  }

  #url(): string {
    return this.sandbox.restOrigin() + this.mountedAt;
  }

  #keyPair(): Promise<{ private: string; cert: string }> {
    // Made when first asked for: making it takes longer than starting the sandbox.
    return this.#keys ??= import("selfsigned").then(({ default: selfsigned }) =>
      selfsigned.generate([{ name: "commonName", value: "sns.amazonaws.com" }], { keySize: 2048 })
    );
  }
}

/** A statement of a policy. */
interface Rule {
  Effect: string;
  Principal?: string | { Service?: string | string[] };
  Action?: string | string[];
  Condition?: Record<string, Record<string, string | string[]>>;
}

/** What every topic begins with: its owner's account may do everything. */
function usualPolicy(arn: string) {
  const actions = [
    "GetTopicAttributes",
    "SetTopicAttributes",
    "AddPermission",
    "RemovePermission",
    "DeleteTopic",
    "Subscribe",
    "ListSubscriptionsByTopic",
    "Publish",
  ];
  return {
    Version: "2008-10-17",
    Id: "__default_policy_ID",
    Statement: [{
      Sid: "__default_statement_ID",
      Effect: "Allow",
      Principal: { AWS: "*" },
      Action: actions.map((action) => `SNS:${action}`),
      Resource: arn,
      Condition: { StringEquals: { "AWS:SourceOwner": AWS_ACCOUNT } },
    }],
  };
}

/** Each part of an ARN against its own pattern. */
function isArnLike(arn: string, pattern: string): boolean {
  const parts = arn.split(":");
  const patterns = pattern.split(":");
  return parts.length === patterns.length && patterns.every((each, index) => {
    const source = each.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll(
      "?",
      ".",
    );
    return new RegExp(`^${source}$`).test(parts[index]!);
  });
}
