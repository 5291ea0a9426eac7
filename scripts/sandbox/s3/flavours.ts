import type { ChecksumName } from "./payload.ts";

/** How the S3 server behaves where AWS and the S3-compatible services differ. */
export interface Flavour {
  /** Regions a signature may name; the first one is told to whoever got it wrong. */
  regions: readonly string[];
  /** `reject`: any checksum header is an error, and none is ever reported. */
  checksums: "verify" | "reject";
  /** Whether `x-amz-checksum-*` in a presigned URL's query counts as if it were a header. */
  checksumsInQuery: boolean;
  /** The checksum computed when the client sends none. */
  defaultChecksum: ChecksumName | undefined;
  /** Whether `STREAMING-AWS4-HMAC-SHA256-PAYLOAD` (signed chunks) is understood. */
  signedChunks: boolean;
  /** Whether all parts of a multipart upload but the last must have the same length. */
  equalParts: boolean;
  /** Whether a bucket can be told to tell through AWS' own services. */
  notifications: boolean;
}

/**
 * The flavours that can be chosen.
 *
 * AWS ignores a checksum that a presigned URL carries in its query (the JavaScript SDK puts the
 * CRC32 of an empty body there): only a signed header is verified and stored.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
 * @see https://developers.cloudflare.com/r2/api/s3/api/
 * @see https://www.backblaze.com/docs/cloud-storage-s3-compatible-api
 */
export const FLAVOURS = {
  aws: {
    regions: ["us-east-1"],
    checksums: "verify",
    checksumsInQuery: false,
    defaultChecksum: "crc64nvme",
    signedChunks: true,
    equalParts: false,
    notifications: true,
  },
  r2: {
    regions: ["auto", "us-east-1"],
    checksums: "verify",
    checksumsInQuery: true,
    defaultChecksum: undefined,
    signedChunks: false,
    equalParts: true,
    notifications: false,
  },
  b2: {
    regions: ["us-east-1"],
    checksums: "reject",
    checksumsInQuery: false,
    defaultChecksum: undefined,
    signedChunks: true,
    equalParts: false,
    notifications: false,
  },
} as const satisfies Record<string, Flavour>;

/** Name of a flavour. */
export type FlavourName = keyof typeof FLAVOURS;
