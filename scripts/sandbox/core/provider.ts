import type { Hono } from "hono";
import type { Clock } from "./clock.ts";
import type { ContentStore } from "./contents.ts";
import type { Faults, Refusal } from "./faults.ts";
import type { Journal } from "./journal.ts";
import type { Pushes } from "./pushes.ts";

/** What all providers of one sandbox share. */
export interface Sandbox {
  readonly clock: Clock;
  readonly contents: ContentStore;
  readonly faults: Faults;
  readonly journal: Journal;
  readonly pushes: Pushes;
  /** Origin of the REST port. */
  restOrigin(): string;
  /** Origin of the storage port, where S3 and signed download URLs live. */
  storageOrigin(): string;
}

/** Variables that {@linkcode observe} leaves for the handlers. */
export interface ObservedEnv {
  Variables: {
    /** Path and query as they came over the wire, not normalised (S3 signs them). */
    rawPath: string;
    rawQuery: string;
    /** A fault asks for the uploaded bytes to be altered in transit. */
    corrupt: boolean;
  };
}

/** A part of a provider: some of its routes with what belongs to them. */
export interface ProviderPart {
  readonly app: Hono<ObservedEnv>;
  /** Its fixtures and inspections, mounted under `/_control`. */
  readonly control?: Hono;
  /** Forgets what the part holds; absent when it holds nothing of its own. */
  reset?(): void;
}

/** One provider of the sandbox: a file of its own makes one, `mod.ts` mounts it. */
export interface Provider {
  /** The name that faults and the journal know it by. */
  readonly name: string;
  /** Its routes, as the provider documents their paths. */
  readonly app: Hono<ObservedEnv>;
  /** Its fixtures and inspections, mounted under `/_control`. */
  readonly control?: Hono;
  /** The provider's own way to refuse a request. */
  refuse(refusal: Refusal): Response;
  /** Forgets everything; the caller has dropped faults and journal already. */
  reset(): Promise<void> | void;
}
