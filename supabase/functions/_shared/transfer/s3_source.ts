/**
 * S3 and what speaks its protocol as a source: the object of an event, or, for a rule with a
 * schedule, all of them. Downloads are presigned: bytes do not pass through here.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
 */
import { XMLParser } from "fast-xml-parser";
import { z } from "zod";
import { allowsPrivateNetwork } from "../oauth/context.ts";
import { callProvider, failure, type ProviderCall } from "../provider_http.ts";
import { presign, settings } from "./s3.ts";
import { extensionOf } from "./template.ts";
import type { Integration, Placeholders, Source, SourceObject } from "./types.ts";

const DOWNLOAD_SECONDS = 15 * 60;
const LOOK_SECONDS = 60;

const ListResult = z.object({
  Contents: z.array(z.object({ Key: z.string(), Size: z.coerce.number(), ETag: z.string() }))
    .default([]),
  IsTruncated: z.stringbool().default(false),
  NextContinuationToken: z.string().optional(),
});

/** Objects of a bucket. */
export const s3Source: Source = {
  async list(integration, event) {
    const key = keyOf(event.resource_path);
    if (key === null) return [];
    const call = await look(integration, { method: "HEAD", key });
    const answer = /ObjectRemoved|LifecycleExpiration/.test(event.event_type)
      ? null
      : await callProvider({ ...call, method: "HEAD", accept: [404] });
    if (answer === null || answer.status === 404) {
      return [{
        ...describe(key, null, null),
        refusal: "it is gone at the source; copies of it stay",
      }];
    }
    const { headers } = answer;
    const type = headers.get("content-type");
    return [{
      ...describe(key, Number(headers.get("content-length")), headers.get("etag")),
      ...(type ? { content_type: type } : {}),
    }];
  },

  async listAll(integration) {
    const { prefix } = settings(integration, "source");
    const parser = new XMLParser({
      parseTagValue: false,
      isArray: (name) => name === "Contents",
    });
    const objects: SourceObject[] = [];
    let token: string | undefined;
    do {
      const call = await look(integration, {
        method: "GET",
        key: "",
        query: {
          "list-type": "2",
          ...(prefix ? { prefix } : {}),
          ...(token === undefined ? {} : { "continuation-token": token }),
        },
      });
      const answer = await callProvider(call);
      const read = ListResult.safeParse(parser.parse(answer.text)?.ListBucketResult ?? null);
      if (!read.success) {
        throw failure(call, "invalid_response", 502, "did not answer with a list of objects", {
          cause: read.error,
        });
      }
      for (const { Key: key, Size: size, ETag: etag } of read.data.Contents) {
        // A key that ends in a slash is a folder that some console has made.
        if (!key.endsWith("/")) {
          objects.push({ ...describe(key, size, etag), placeholders: placeholdersOf(key) });
        }
      }
      token = read.data.IsTruncated ? read.data.NextContinuationToken : undefined;
    } while (token !== undefined);
    return objects;
  },

  async ticket(integration, _event, { ref }) {
    const url = await presign(
      integration,
      { method: "GET", key: ref, headers: {}, seconds: DOWNLOAD_SECONDS },
      "source",
    );
    return { method: "GET", url, headers: {} };
  },

  placeholders(event) {
    return placeholdersOf(keyOf(event.resource_path) ?? "");
  },
};

function keyOf(path: string): string | null {
  return path.startsWith("objects/") && path !== "objects/" ? path.slice("objects/".length) : null;
}

function describe(key: string, size: number | null, etag: string | null): SourceObject {
  const name = key.slice(key.lastIndexOf("/") + 1);
  const extension = extensionOf(name);
  return {
    ref: key,
    name,
    path: `objects/${key}`,
    version: etag?.replaceAll('"', "") ?? null,
    type: extension,
    extension,
    content_type: "application/octet-stream",
    size_bytes: size,
    sha256: null,
    is_expired: false,
  };
}

function placeholdersOf(key: string): Placeholders {
  return { folder: key.split("/").slice(0, -1).filter((part) => part !== "") };
}

async function look(
  integration: Integration,
  { method, key, query = {} }: {
    method: "GET" | "HEAD";
    key: string;
    query?: Record<string, string>;
  },
): Promise<ProviderCall> {
  return {
    role: "source",
    integration: integration.slug,
    url: await presign(
      integration,
      { method, key, query, headers: {}, seconds: LOOK_SECONDS },
      "source",
    ),
    allowPrivate: allowsPrivateNetwork(integration),
  };
}
