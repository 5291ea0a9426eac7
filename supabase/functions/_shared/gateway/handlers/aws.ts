/** What S3 and SNS have in common: requests signed with SigV4, answers in XML. */
import { AwsClient } from "aws4fetch";
import type { HandlerContext } from "../../execution/handler.ts";
import { ExecutionError } from "../../execution/types.ts";

/**
 * What signs the requests of an execution, with its credential.
 *
 * @throws ExecutionError `credentials_missing` (422)
 */
export function signer(
  { client, begun }: HandlerContext,
  { service, region }: { service: "s3" | "sns"; region: string },
): AwsClient {
  const { access_key_id, secret_access_key, session_token } = client.secrets;
  if (!access_key_id || !secret_access_key) {
    throw new ExecutionError(
      "credentials_missing",
      422,
      `${begun.integration.slug} has no access_key_id and secret_access_key: connect it first.`,
    );
  }
  return new AwsClient({
    accessKeyId: access_key_id,
    secretAccessKey: secret_access_key,
    ...(session_token ? { sessionToken: session_token } : {}),
    service,
    region,
    // Repetitions are the client's business.
    retries: 0,
  });
}

/** How elements become JSON. */
export interface XmlShape {
  /** Elements that may come several times: always lists. */
  lists: ReadonlySet<string>;
  /** What the text of an element stands for; its text when absent. */
  value?: (name: string, text: string) => unknown;
}

/**
 * Reads an answer.
 *
 * @throws ExecutionError `provider_error` (502)
 */
export async function parseXml(
  text: string,
  { lists, value = (_name, text) => text }: XmlShape,
): Promise<Record<string, unknown>> {
  // AWS declares no entities; whoever does wants them multiplied.
  if (/<!DOCTYPE/i.test(text)) {
    throw new ExecutionError("provider_error", 502, "The answer is not the XML of AWS.", {
      effect: "possible",
    });
  }
  const { XMLParser } = await import("fast-xml-parser");
  const parser = new XMLParser({
    ignoreAttributes: true,
    ignoreDeclaration: true,
    parseTagValue: false,
    isArray: (name) => lists.has(name),
    tagValueProcessor: (name, text) => value(name, text) as string,
  });
  return parser.parse(text);
}
