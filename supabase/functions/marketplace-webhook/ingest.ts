/** The function's four questions to the database, each answered in time or given up. */
import { db } from "../_shared/db.ts";
import { AppError } from "../_shared/errors.ts";
import type { WebhookEvent } from "../_shared/webhooks/normalise.ts";
import type { RejectionCount } from "./rejections.ts";

/**
 * Providers wait 3 to 10 seconds. A statement that is given up may still commit: then the sender's
 * next try is a duplicate, which is answered like the first.
 */
const DEADLINE_MS = 4_000;

/** A verified delivery's event on its way into the log. */
export interface EventRow extends WebhookEvent {
  integrationId: string;
  /** Version of the settings it was verified with. */
  version: number;
  /** JSON text. */
  headers: string;
}

/** What became of an event; ids are the first one's when it is a duplicate. */
export interface Stored {
  outcome: "stored" | "duplicate" | "stale_config";
  eventId: string;
  correlationId: string;
}

/** What the function needs of the database. */
export interface Store {
  loadConfig(provider: string, integration: string | null): Promise<unknown>;
  ingest(rows: EventRow[]): Promise<Stored[]>;
  countRejections(rows: RejectionCount[]): Promise<void>;
  health(): Promise<{ status: string } & Record<string, unknown>>;
}

/** The real one. */
export const databaseStore: Store = {
  async loadConfig(provider, integration) {
    const [row] = await inTime(db()`
      select marketplace.webhook_config(${provider}, ${integration}) as config
    `);
    return row?.config;
  },

  async ingest(rows) {
    try {
      const stored = await inTime(db()<Stored[]>`
        select outcome, event_id as "eventId", correlation_id as "correlationId"
        from marketplace.ingest_events(
          ${rows.map((row) => row.integrationId)}::uuid[],
          ${rows.map((row) => row.version)}::bigint[],
          ${rows.map((row) => row.dedupeKey)}::text[],
          ${rows.map((row) => row.eventType)}::text[],
          ${rows.map((row) => row.resourcePath)}::text[],
          ${rows.map((row) => row.account)}::text[],
          ${rows.map((row) => row.occurredAt)}::timestamptz[],
          ${rows.map((row) => row.headers)}::text[],
          ${rows.map((row) => row.payload)}::text[]
        )
        order by ordinal
      `);
      return [...stored];
    } catch (error) {
      // 22: the payload is JSON but not jsonb; 54: beyond the database's limits.
      if (
        error instanceof Error &&
        /^(22|54)...$/.test(String((error as { code?: unknown }).code))
      ) {
        throw new AppError(
          "payload_not_storable",
          400,
          "The payload cannot be stored as jsonb.",
          {
            cause: error,
          },
        );
      }
      throw error;
    }
  },

  async countRejections(rows) {
    await inTime(
      db()`select marketplace.count_rejections(${JSON.stringify(rows)}::text::jsonb)`,
    );
  },

  async health() {
    const [row] = await inTime(db()`select marketplace.health() as health`);
    return row!.health;
  },
};

async function inTime<T>(query: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() =>
      reject(
        new AppError(
          "database_unavailable",
          503,
          "The database did not answer in time; try again.",
          {
            retryAfterSeconds: 5,
          },
        ),
      ), DEADLINE_MS);
  });
  try {
    return await Promise.race([query, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
