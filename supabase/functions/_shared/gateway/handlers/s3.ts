/**
 * S3 and what speaks its protocol: signed requests, XML answers.
 *
 * Signed with aws4fetch, which is 6 KB of Web Crypto; the AWS SDK costs most of a second to load.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
 */
import type { AwsClient } from "aws4fetch";
import { type Handler, type HandlerContext, toContent } from "../../execution/handler.ts";
import type { TextAnswer } from "../../execution/provider_client.ts";
import { ExecutionError } from "../../execution/types.ts";
import type { FileValue } from "../request.ts";
import { parseXml as parseAwsXml, signer as awsSigner } from "./aws.ts";

/** Runs an operation; its row's slug says which. */
export const s3: Handler = async (context) => {
  const operation = OPERATIONS[context.begun.action.slug];
  if (operation) return await operation(context);
  throw new ExecutionError(
    "action_unsupported",
    501,
    `There is no operation ${context.begun.action.slug}; there are ${
      Object.keys(OPERATIONS).join(", ")
    }.`,
  );
};

/** Makes a link that works without a credential until it expires. Nothing is sent. */
export const s3Presign: Handler = async (context) => {
  const { request, parameters, begun } = context;
  const { expires_in = 900, content_type } = parameters as {
    expires_in?: number;
    content_type?: string;
  };
  const url = new URL(request.url);
  url.searchParams.set("X-Amz-Expires", String(expires_in));
  const headers: Record<string, string> = content_type ? { "content-type": content_type } : {};
  const signed = await signer(context).sign(url.href, {
    method: begun.action.method,
    headers,
    aws: { signQuery: true, allHeaders: true },
  });
  return {
    kind: "result",
    status: 200,
    result: {
      method: begun.action.method,
      url: signed.url,
      headers,
      expires_at: new Date(Date.now() + expires_in * 1000).toISOString(),
    },
  };
};

const OPERATIONS: Readonly<Record<string, Handler>> = {
  ListBuckets: async (context) => {
    const answer = await read(context);
    const { ListAllMyBucketsResult: result } = await parseXml(answer.text);
    const { Buckets, Owner } = (result ?? {}) as {
      Buckets?: { Bucket?: unknown[] };
      Owner?: unknown;
    };
    return {
      kind: "result",
      status: answer.status,
      result: { Buckets: Buckets?.Bucket ?? [], Owner },
    };
  },

  ListObjectsV2: async (context) => {
    const answer = await read(context);
    const { ListBucketResult: result } = await parseXml(answer.text);
    return { kind: "result", status: answer.status, result: { Contents: [], ...result as object } };
  },

  HeadObject: async (context) => {
    const { status, headers } = await read(context);
    return { kind: "result", status, result: describeObject(headers) };
  },

  GetObject: async (context) => {
    const answer = await context.client.open(await sign(context));
    return { kind: "content", status: answer.status, content: toContent(answer) };
  },

  DeleteObject: async (context) => {
    const { status } = await read(context);
    return { kind: "result", status, result: null };
  },

  PutObject: async (context) => {
    const { file, cache_control, metadata = {} } = context.parameters as unknown as {
      file: FileValue;
      cache_control?: string;
      metadata?: Record<string, string>;
    };
    const { bytes, content_type } = await context.files.bytes(file, "/file");
    const headers: Record<string, string> = {
      "content-type": content_type,
      "x-amz-content-sha256": hex(await crypto.subtle.digest("SHA-256", bytes)),
      ...(cache_control ? { "cache-control": cache_control } : {}),
    };
    for (const [name, value] of Object.entries(metadata)) headers[`x-amz-meta-${name}`] = value;
    const request = await sign(context, headers);
    const { status, headers: answered } = await context.client.call({ ...request, body: bytes });
    return { kind: "result", status, result: describeObject(answered) };
  },

  // As S3 writes it, so that whoever changes an entry can give back all others as they are.
  GetBucketNotificationConfiguration: async (context) => {
    const { status, text } = await read(context);
    const { NotificationConfiguration: result } = await parseXml(text);
    return { kind: "result", status, result: result || {} };
  },

  PutBucketNotificationConfiguration: async (context) => {
    const { configuration } = context.parameters as { configuration: Record<string, unknown> };
    const bytes = new TextEncoder().encode(await toXml("NotificationConfiguration", configuration));
    const request = await sign(context, {
      "content-type": "application/xml",
      "x-amz-content-sha256": hex(await crypto.subtle.digest("SHA-256", bytes)),
    });
    const { status } = await context.client.call({ ...request, body: bytes });
    return { kind: "result", status, result: null };
  },

  CopyObject: async (context) => {
    const source = context.request.headers["x-amz-copy-source"]!;
    const answer = await read(context, {
      ...context.request.headers,
      // The one header that S3 wants encoded.
      "x-amz-copy-source": source.split("/").map(encodeURIComponent).join("/"),
    });
    const { CopyObjectResult: result, Error: error } = await parseXml(answer.text);
    // A copy that fails half-way has already said 200.
    if (error) {
      const { Code, Message } = error as { Code?: string; Message?: string };
      throw context.client.refuse(answer.status, Code, Message, error);
    }
    return { kind: "result", status: answer.status, result: result ?? null };
  },
};

async function read(
  context: HandlerContext,
  headers: Record<string, string> = context.request.headers,
): Promise<TextAnswer> {
  return await context.client.call(await sign(context, headers));
}

/** The row's request, signed; `accept` stays out of the signature, proxies may change it. */
async function sign(
  context: HandlerContext,
  headers: Record<string, string> = {},
) {
  const { method, url } = context.request;
  const { accept: _, ...kept } = headers;
  const signed = await signer(context).sign(url, { method, headers: kept });
  return { method, url: signed.url, headers: Object.fromEntries(signed.headers) };
}

function signer(context: HandlerContext): AwsClient {
  const region = String(context.access.settings.region ?? "us-east-1");
  return awsSigner(context, { service: "s3", region });
}

/** An object as its headers describe it. */
function describeObject(headers: Headers): Record<string, unknown> {
  const header = (name: string) => headers.get(name) ?? undefined;
  const metadata = Object.fromEntries(
    [...headers].filter(([name]) => name.startsWith("x-amz-meta-"))
      .map(([name, value]) => [name.slice("x-amz-meta-".length), value]),
  );
  const length = header("content-length");
  return {
    etag: header("etag")?.replaceAll('"', ""),
    version_id: header("x-amz-version-id"),
    ...(header("last-modified")
      ? {
        size_bytes: length === undefined ? undefined : Number(length),
        content_type: header("content-type"),
        last_modified: new Date(header("last-modified")!).toISOString(),
        cache_control: header("cache-control"),
        metadata,
      }
      : {}),
  };
}

const LISTS = new Set([
  "Contents",
  "CommonPrefixes",
  "Bucket",
  "TopicConfiguration",
  "QueueConfiguration",
  "CloudFunctionConfiguration",
  "Event",
  "FilterRule",
]);
const NUMBERS = new Set(["Size", "KeyCount", "MaxKeys"]);
const FLAGS = new Set(["IsTruncated"]);

async function parseXml(text: string): Promise<Record<string, unknown>> {
  return await parseAwsXml(text, {
    lists: LISTS,
    value: (name, text) => {
      if (NUMBERS.has(name)) return Number(text);
      if (FLAGS.has(name)) return text === "true";
      return name === "ETag" ? text.replaceAll('"', "") : text;
    },
  });
}

/** A document of S3; lists repeat their element. */
async function toXml(root: string, content: Record<string, unknown>): Promise<string> {
  const { XMLBuilder } = await import("fast-xml-parser");
  const builder = new XMLBuilder({ ignoreAttributes: false, attributeNamePrefix: "@" });
  return builder.build({
    [root]: { "@xmlns": "http://s3.amazonaws.com/doc/2006-03-01/", ...content },
  });
}

function hex(bytes: ArrayBuffer): string {
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
