/**
 * Amazon SNS: RSA over named members of the message, with a certificate the message points to.
 *
 *     Message\n<…>\nMessageId\n<…>\n[Subject\n<…>\n]Timestamp\n<…>\nTopicArn\n<…>\nType\n<…>\n
 *
 * SignatureVersion 1 is SHA-1, 2 is SHA-256. Anybody can own a topic that AWS signs for, so only the
 * topics that the integration names (`topic_arns`) count. A stand-in of SNS (`sns_endpoint`) takes the
 * place of AWS altogether.
 *
 * @see https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
 */
import { decodeBytes, utf8 } from "./bytes.ts";
import type { CertificateCache } from "./certificates.ts";
import type { SnsScheme } from "./config.ts";
import { isObject, readJsonBytes } from "./json_text.ts";
import { refuseTimestamp } from "./timestamp.ts";
import { accept, type Delivery, refuse, type Settings, type Verdict } from "./verdict.ts";

const CONFIRMATION = [
  "Message",
  "MessageId",
  "SubscribeURL",
  "Timestamp",
  "Token",
  "TopicArn",
  "Type",
] as const;

/** The signed members of each type, in byte order. */
const SIGNED: Record<string, readonly string[]> = {
  Notification: ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
  SubscriptionConfirmation: CONFIRMATION,
  UnsubscribeConfirmation: CONFIRMATION,
};

const HOST = /^sns\.[a-z0-9-]{3,32}\.amazonaws\.com(\.cn)?$/;
const CERTIFICATE_PATH = /^\/SimpleNotificationService-[A-Za-z0-9]{1,128}\.pem$/;

/** Verifies a message of an allowed topic. */
export async function verifySns(
  scheme: SnsScheme,
  { raw, now }: Delivery,
  settings: Settings,
  certificates: CertificateCache,
): Promise<Verdict> {
  const topics = settings.topic_arns;
  if (!Array.isArray(topics) || topics.length === 0) return refuse("missing_setting");
  const parsed = readJsonBytes(raw);
  if (!parsed.ok || !isObject(parsed.value)) return refuse("missing_signature");
  const { value } = parsed;
  const text = (name: string) => {
    const member = Object.hasOwn(value, name) ? value[name] : undefined;
    return typeof member === "string" ? member : undefined;
  };
  const sent = text("Signature");
  if (!sent) return refuse("missing_signature");
  // First of all: nothing is fetched for a stranger's topic.
  if (!topics.includes(text("TopicArn"))) return refuse("unexpected_source");

  const { max_age_seconds: tolerance_seconds, future_seconds } = scheme;
  const rule = { from: "", unit: "iso", tolerance_seconds, future_seconds } as const;
  const refusal = refuseTimestamp(text("Timestamp"), rule, now);
  if (refusal) return refuse(refusal);

  const hash = ({ "1": "SHA-1", "2": "SHA-256" } as const)[text("SignatureVersion") ?? ""];
  const members = SIGNED[text("Type") ?? ""];
  const signature = decodeBytes(sent, "base64");
  const url = text("SigningCertURL") ?? text("SigningCertUrl") ?? "";
  const isTheirs = isSnsUrl(url, { path: CERTIFICATE_PATH, endpoint: settings.sns_endpoint });
  if (!hash || !members || !signature || !isTheirs) {
    return refuse("invalid_signature");
  }
  let message = "";
  for (const name of members) {
    const member = text(name);
    if (member !== undefined) message += `${name}\n${member}\n`;
    else if (name !== "Subject") return refuse("invalid_signature");
  }
  const certificate = await certificates.key(url, hash);
  if (!certificate.ok) {
    return refuse(certificate.code === "invalid" ? "invalid_signature" : "keys_unavailable");
  }
  const { key } = certificate;
  const isValid = await crypto.subtle.verify(key.algorithm.name, key, signature, utf8(message));
  return isValid ? accept() : refuse("invalid_signature");
}

/**
 * Whether a URL is one that SNS itself answers: https, its own host, no credentials, no port.
 *
 * @param options.endpoint where a stand-in of SNS is; then its origin alone counts
 */
export function isSnsUrl(
  text: string,
  { path = /^\/$/, endpoint }: { path?: RegExp; endpoint?: unknown } = {},
): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  if (typeof endpoint === "string") {
    const file = path === CERTIFICATE_PATH ? url.pathname.replace(/^.*(?=\/)/, "") : "/";
    return URL.canParse(endpoint) && url.origin === new URL(endpoint).origin && path.test(file);
  }
  return url.protocol === "https:" && url.username === "" && url.password === "" &&
    url.port === "" && url.hash === "" && HOST.test(url.hostname) && path.test(url.pathname) &&
    (path !== CERTIFICATE_PATH || url.search === "") &&
    // What was parsed is what was written: no control characters, dots or backslashes were cleaned up.
    url.href === text;
}
