/**
 * What an artifact's source and destination must be able to do.
 *
 * A new source or destination is one file that implements {@link Source} or {@link Destination} and
 * one line in `registry.ts`. Adapters never move bytes: they hand out tickets, short-lived requests
 * that a workflow carries out without any credential of its own, and look at the result afterwards.
 */

import type { RateLimit } from "../provider_http.ts";

/** A configured provider with its decrypted credentials. */
export interface Integration {
  id: string;
  slug: string;
  provider: string;
  /** The API's base URL without a trailing slash; null when the provider has none. */
  base_url: string | null;
  /** The platform's own integration of this provider: the environment may hold its credentials. */
  is_default: boolean;
  config: Record<string, unknown>;
  /** Secrets by purpose (`api_token`, `access_key_id`, `refresh_token`, …); never logged. */
  credentials: Record<string, string>;
  /**
   * The access token of its own grant, for an integration without a fixed one.
   *
   * @param refused a token that the provider has just refused
   */
  tokens?: (refused?: string) => Promise<string>;
  /** Told what the provider's answers say about its rate limit. */
  onRateLimit?: (limit: RateLimit) => void;
}

/** The event that a job answers to. */
export interface SourceEvent {
  event_type: string;
  provider: string;
  resource_path: string;
  occurred_at: string;
  payload: unknown;
}

/** One object that a source offers. */
export interface SourceObject {
  /** The source's own id, unique within the event. */
  ref: string;
  /** What the rule's pattern is compared with; the event's path and the name when absent. */
  path?: string;
  /** Counts the states of an object that changes; the same again is nothing new. */
  version?: string | null;
  /** Why it cannot be taken, whatever the rule says. */
  refusal?: string;
  /** What it fills in itself, where a listing has objects of several places. */
  placeholders?: Placeholders;
  name: string;
  /** Lower case, without the dot; what `artifact_types` is compared with. */
  type: string;
  /** Lower case, without the dot: what arrives when it is downloaded (`zip` for GitHub). */
  extension: string;
  content_type: string;
  /** Exact size of what is downloaded; null when the source does not say for sure. */
  size_bytes: number | null;
  /** Hex SHA-256 of what is downloaded; null when the source does not say. */
  sha256: string | null;
  /** Gone at the source: listed, but cannot be downloaded any more. */
  is_expired: boolean;
}

/** A request that a workflow may send as it stands. */
export interface TransferRequest {
  method: "GET" | "PUT" | "POST";
  url: string;
  headers: Record<string, string>;
  /** JSON. */
  body?: string;
}

/** How a workflow gets bytes of sources that give out no links: through the gateway, as its job. */
export interface GatewayAccess {
  /** Where `marketplace-execute` answers. */
  url: string;
  /** The job's token. */
  token: string;
}

/** What fills placeholders: a text is one piece of a name, a list is a path. */
export type Placeholders = Record<string, string | readonly string[] | null>;

/** Where artifacts come from. */
export interface Source {
  /**
   * Lists all objects that belong to the event.
   *
   * @param config the rule's
   */
  list(
    integration: Integration,
    event: SourceEvent,
    config?: Record<string, unknown>,
  ): Promise<SourceObject[]>;
  /** Lists everything there is, for a rule with a schedule; absent: it cannot. */
  listAll?(integration: Integration, config: Record<string, unknown>): Promise<SourceObject[]>;
  /**
   * A download that works for about a minute.
   *
   * @param event null: a schedule made the job
   * @param object as it was listed
   */
  ticket(
    integration: Integration,
    event: SourceEvent | null,
    object: Pick<SourceObject, "ref" | "content_type" | "size_bytes">,
    gateway: GatewayAccess,
  ): Promise<TransferRequest>;
  /**
   * What the event means for `destination_template`: placeholder → value, null when this event does
   * not say. All placeholders that the source knows are always present.
   */
  placeholders(event: SourceEvent): Placeholders;
}

/** What a destination is asked to take. */
export interface Upload {
  /** Rendered path with slashes, no leading one. */
  path: string;
  content_type: string;
  size_bytes: number | null;
  /** Hex SHA-256 of the bytes to come; null when the source does not say. */
  sha256: string | null;
  /** The destination's own id from an earlier ticket for the same artifact; null at first. */
  destination_ref: string | null;
}

/** What a destination needs from us beyond its integration. */
export interface DestinationStore {
  /** Keeps the destination's id of the artifact before anything is made there under that id. */
  keepRef(destinationRef: string): Promise<void>;
  /** Agrees with all other transfers on the id of a folder: the first proposal wins. */
  agreeOnFolder(path: string, proposedId: string): Promise<string>;
  /** Forgets a folder that is gone at the destination, and those below it. */
  forgetFolder(path: string): Promise<void>;
}

/** An object as the destination holds it. */
export interface StoredObject {
  size_bytes: number;
  /** Hex digests that the destination computed itself. */
  sha256: string | null;
  md5: string | null;
}

/** Where artifacts go. */
export interface Destination {
  /** Tells the workflow which kind of upload it does. */
  readonly kind: string;
  /** An upload that works for some minutes. Asking again for the same artifact is harmless. */
  ticket(
    integration: Integration,
    upload: Upload,
    store: DestinationStore,
  ): Promise<TransferRequest>;
  /** The object as it is there now, null when it is not. */
  stat(integration: Integration, destinationRef: string): Promise<StoredObject | null>;
  /** A link or path for people; no credential in it. */
  location(integration: Integration, destinationRef: string): string;
}
