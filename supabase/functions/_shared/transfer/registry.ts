/**
 * Which provider is served by which adapter. An adapter is loaded when it is first needed: a
 * function that never sees S3 does not pay for its SDK.
 */
import { AppError } from "../errors.ts";
import type { Destination, Source } from "./types.ts";

const SOURCES: Record<string, () => Promise<Source>> = {
  github: async () => (await import("./github.ts")).github,
  google_drive: async () => (await import("./google_drive_source.ts")).googleDriveSource,
  aws_s3: async () => (await import("./s3_source.ts")).s3Source,
};

const DESTINATIONS: Record<string, () => Promise<Destination>> = {
  aws_s3: async () => (await import("./s3.ts")).s3,
  google_drive: async () => (await import("./google_drive.ts")).googleDrive,
};

/** @throws AppError `source_unsupported` (422) */
export function sourceFor(provider: string): Promise<Source> {
  return find(SOURCES, provider, "source");
}

/** @throws AppError `destination_unsupported` (422) */
export function destinationFor(provider: string): Promise<Destination> {
  return find(DESTINATIONS, provider, "destination");
}

async function find<T>(
  adapters: Record<string, () => Promise<T>>,
  provider: string,
  role: string,
): Promise<T> {
  const load = Object.hasOwn(adapters, provider) ? adapters[provider] : undefined;
  if (load) return await load();
  throw new AppError(
    `${role}_unsupported`,
    422,
    `Provider ${provider} cannot be a ${role} of artifacts; these can: ${
      Object.keys(adapters).join(", ")
    }.`,
  );
}
