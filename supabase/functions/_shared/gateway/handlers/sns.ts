/**
 * Amazon SNS, through which a bucket tells: the Query API, parameters by the names that AWS gives
 * them. The keys are those of the S3 integration; the host is the region's, or that of a stand-in
 * (`config.sns_api_base`).
 * @see https://docs.aws.amazon.com/sns/latest/api/API_Operations.html
 */
import type { Handler, HandlerContext } from "../../execution/handler.ts";
import { ExecutionError } from "../../execution/types.ts";
import { parseXml, signer } from "./aws.ts";

const VERSION = "2010-03-31";
const LISTS = new Set(["member", "entry"]);

/** Runs the operation that the row's slug names: `sns.<operation>`. */
export const sns: Handler = async (context) => {
  const { begun, client, parameters } = context;
  const operation = begun.action.slug.replace(/^sns\./, "");
  const region = regionOf(context);
  const base = baseOf(context, region);
  client.permit(base);
  const body = new URLSearchParams(toPairs(operation, parameters)).toString();
  const signed = await signer(context, { service: "sns", region }).sign(`${base}/`, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded; charset=utf-8" },
    body,
  });
  const { status, text } = await client.call({
    method: "POST",
    url: signed.url,
    headers: Object.fromEntries(signed.headers),
    body,
  });
  const document = await parseXml(text, { lists: LISTS });
  const answer = document[`${operation}Response`];
  const result = isObject(answer) ? answer[`${operation}Result`] : undefined;
  return { kind: "result", status, result: isObject(result) ? tidied(result) : null };
};

/** The region of the topic or subscription, else the integration's. */
function regionOf({ parameters, access }: HandlerContext): string {
  const arn = parameters.TopicArn ?? parameters.SubscriptionArn;
  const region = typeof arn === "string" ? arn.split(":")[3] : access.settings.region;
  if (/^[a-z0-9-]+$/.test(String(region))) return String(region);
  throw new ExecutionError("validation_failed", 422, `${arn ?? region} names no region of AWS.`);
}

function baseOf({ begun }: HandlerContext, region: string): string {
  const { sns_api_base: own } = begun.integration.config;
  if (typeof own === "string" && URL.canParse(own)) return own.replace(/\/+$/, "");
  return `https://sns.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`;
}

/** Maps are numbered entries. */
function toPairs(operation: string, parameters: Record<string, unknown>): [string, string][] {
  const pairs: [string, string][] = [["Action", operation], ["Version", VERSION]];
  for (const [name, value] of Object.entries(parameters)) {
    if (!isObject(value)) pairs.push([name, String(value)]);
    else {
      Object.entries(value).forEach(([key, text], n) => {
        pairs.push([`${name}.entry.${n + 1}.key`, key]);
        pairs.push([`${name}.entry.${n + 1}.value`, String(text)]);
      });
    }
  }
  return pairs;
}

/** Lists without their `member`, maps without their `entry`. */
function tidied(result: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(result).map(([name, value]) => {
      // An empty list has no member, and is read as an empty text.
      if (name === "Subscriptions" && value === "") return [name, []];
      if (!isObject(value)) return [name, value];
      if (Array.isArray(value.member)) return [name, value.member];
      if (!Array.isArray(value.entry)) return [name, value];
      const entries = value.entry as { key: string; value: string }[];
      return [name, Object.fromEntries(entries.map((entry) => [entry.key, entry.value]))];
    }),
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
