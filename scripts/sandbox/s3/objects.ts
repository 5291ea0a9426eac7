import type { Content } from "../core/contents.ts";
import { S3Error } from "./errors.ts";
import type { ChecksumName, ClaimedChecksum } from "./payload.ts";

/** Whether a checksum covers the object's bytes or the checksums of its parts. */
export type ChecksumType = "FULL_OBJECT" | "COMPOSITE";

/** A checksum as S3 stores it with an object. */
export interface StoredChecksum extends ClaimedChecksum {
  type: ChecksumType;
}

/** An object of a bucket. */
export interface S3Object {
  content: Content;
  /** Without quotes. */
  etag: string;
  modifiedAt: number;
  /** Response headers to give back: content type, cache control, `x-amz-meta-*`, … */
  headers: Record<string, string>;
  checksum: StoredChecksum | undefined;
}

/** Of `PutBucketNotificationConfiguration`, by the names of its XML. */
export interface NotificationConfiguration {
  TopicConfiguration?: NotificationEntry[];
  QueueConfiguration?: NotificationEntry[];
  CloudFunctionConfiguration?: NotificationEntry[];
  EventBridgeConfiguration?: "";
}

/** Whom a bucket tells, and of what. */
export interface NotificationEntry {
  Id: string;
  Topic?: string;
  Queue?: string;
  CloudFunction?: string;
  Event: string[];
  Filter?: { S3Key: { FilterRule: { Name: string; Value: string }[] } };
}

/** One part of a multipart upload. */
export interface Part {
  content: Content;
  etag: string;
}

/** A multipart upload under way. */
export interface MultipartUpload {
  bucket: string;
  key: string;
  headers: Record<string, string>;
  checksumName: ChecksumName | undefined;
  checksumType: ChecksumType | undefined;
  parts: Map<number, Part>;
}

/** A bucket and what lies in it. */
export interface Bucket {
  createdAt: number;
  objects: Map<string, S3Object>;
  /** Whom it tells: the document as it was put. */
  notifications?: NotificationConfiguration;
}

/** The buckets and unfinished uploads of one sandbox. */
export class Buckets {
  readonly #buckets = new Map<string, Bucket>();
  readonly #uploads = new Map<string, MultipartUpload>();

  /** @throws S3Error `InvalidBucketName`; creating one's own bucket again changes nothing */
  create(name: string, at: number): void {
    if (!/^[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]$/.test(name)) {
      throw new S3Error("InvalidBucketName", undefined, { BucketName: name });
    }
    if (!this.#buckets.has(name)) this.#buckets.set(name, { createdAt: at, objects: new Map() });
  }

  /** @throws S3Error `NoSuchBucket` */
  get(name: string): Bucket {
    const bucket = this.#buckets.get(name);
    if (!bucket) throw new S3Error("NoSuchBucket", undefined, { BucketName: name });
    return bucket;
  }

  /** @throws S3Error `NoSuchBucket`, `BucketNotEmpty` */
  remove(name: string): void {
    if (this.get(name).objects.size > 0) {
      throw new S3Error("BucketNotEmpty", undefined, { BucketName: name });
    }
    this.#buckets.delete(name);
  }

  list(): [name: string, bucket: Bucket][] {
    return [...this.#buckets].sort(([a], [b]) => compareUtf8(a, b));
  }

  /** @throws S3Error `NoSuchKey` */
  object(bucket: string, key: string): S3Object {
    const object = this.get(bucket).objects.get(key);
    if (!object) throw new S3Error("NoSuchKey", undefined, { Key: key });
    return object;
  }

  /** Puts an object in place of whatever stood under its key. */
  async put(bucket: string, key: string, object: S3Object): Promise<void> {
    const { objects } = this.get(bucket);
    const replaced = objects.get(key);
    objects.set(key, object);
    await replaced?.content.release();
  }

  /** Deleting what is not there succeeds, as with S3. */
  async delete(bucket: string, key: string): Promise<void> {
    const { objects } = this.get(bucket);
    const object = objects.get(key);
    objects.delete(key);
    await object?.content.release();
  }

  /** Starts a multipart upload and names it. */
  startUpload(upload: Omit<MultipartUpload, "parts">): string {
    this.get(upload.bucket);
    const id = crypto.randomUUID().replaceAll("-", "");
    this.#uploads.set(id, { ...upload, parts: new Map() });
    return id;
  }

  /** @throws S3Error `NoSuchUpload` */
  upload(id: string, bucket: string, key: string): MultipartUpload {
    const upload = this.#uploads.get(id);
    if (!upload || upload.bucket !== bucket || upload.key !== key) {
      throw new S3Error("NoSuchUpload", undefined, { UploadId: id });
    }
    return upload;
  }

  /** Forgets an upload and frees its parts. */
  async endUpload(id: string): Promise<void> {
    const upload = this.#uploads.get(id);
    this.#uploads.delete(id);
    for (const part of upload?.parts.values() ?? []) await part.content.release();
  }

  /** Removes everything. */
  async clear(): Promise<void> {
    for (const id of [...this.#uploads.keys()]) await this.endUpload(id);
    for (const { objects } of this.#buckets.values()) {
      for (const object of objects.values()) await object.content.release();
    }
    this.#buckets.clear();
  }
}

/** Selection of a listing. */
export interface ListQuery {
  prefix: string;
  delimiter: string;
  /** Only what sorts after this key or common prefix. */
  after: string;
  maxKeys: number;
}

/** A page of a listing. */
export interface ListPage {
  entries: ({ key: string; object: S3Object } | { prefix: string })[];
  /** Last key or prefix of the page when there is more. */
  next: string | undefined;
}

/**
 * Lists keys in UTF-8 order, rolling up what lies behind the delimiter.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
 */
export function listObjects(bucket: Bucket, query: ListQuery): ListPage {
  const { prefix, delimiter, after, maxKeys } = query;
  const entries: ListPage["entries"] = [];
  const keys = [...bucket.objects.keys()].filter((key) => key.startsWith(prefix)).sort(compareUtf8);
  let last = "";
  for (const key of keys) {
    const cut = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
    const name = cut < 0 ? key : key.slice(0, cut + delimiter.length);
    if (compareUtf8(name, after) <= 0 || (cut >= 0 && name === last)) continue;
    if (entries.length === maxKeys) return { entries, next: maxKeys === 0 ? undefined : last };
    entries.push(cut < 0 ? { key, object: bucket.objects.get(key)! } : { prefix: name });
    last = name;
  }
  return { entries, next: undefined };
}

const encoder = new TextEncoder();

function compareUtf8(a: string, b: string): number {
  const [x, y] = [encoder.encode(a), encoder.encode(b)];
  const length = Math.min(x.length, y.length);
  for (let i = 0; i < length; i++) if (x[i] !== y[i]) return x[i]! - y[i]!;
  return x.length - y.length;
}
