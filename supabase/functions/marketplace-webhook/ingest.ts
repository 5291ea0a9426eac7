/** The function's questions to the database, each answered in time or given up. */
import { db } from "../_shared/db.ts";
import { AppError } from "../_shared/errors.ts";
import { SharedStatement } from "../_shared/shared_statement.ts";
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
  /** From the request's first byte to the body's last, in milliseconds. */
  receiveMs: number;
  /** From there to the verdict, in milliseconds. */
  verifyMs: number;
}

/** What became of an event; ids are the first one's when it is a duplicate. */
export interface Stored {
  outcome: "stored" | "duplicate" | "stale_config";
  eventId: string;
  correlationId: string;
}

/** A push of a channel, by its headers. */
export interface ChannelPush {
  channelId: string;
  resourceId: string;
  /** Digits; null: it says none. */
  messageNumber: string | null;
  state: string;
}

/** What became of a push; `coalesced`: a pull is due already. */
export type PushOutcome = "noted" | "coalesced" | "sync";

/** What the function needs of the database. */
export interface Store {
  loadConfig(provider: string, integration: string | null): Promise<unknown>;
  ingest(rows: EventRow[]): Promise<Stored[]>;
  countRejections(rows: RejectionCount[]): Promise<void>;
  health(): Promise<{ status: string } & Record<string, unknown>>;
  /** Keeps a secret that came unasked, if the integration has none; says whether it did. */
  acceptHookSecret(integrationId: string, secret: string): Promise<boolean>;
  /** Puts a secret aside for the operator. */
  offerSecret(integrationId: string, secret: string): Promise<void>;
  /** The integration's other secrets by purpose. */
  credentials(integrationId: string): Promise<Record<string, string>>;
  /** `unknown`: a channel that is not ours; `unchecked`: none is kept for the integration. */
  notePush(
    integrationId: string,
    push: ChannelPush,
  ): Promise<PushOutcome | "unknown" | "unchecked">;
  /** `unchecked`: nobody follows that account. */
  noteAccountPush(integrationId: string, account: string): Promise<PushOutcome | "unchecked">;
  /** A subscription to a topic is confirmed: whoever waits for it may go on. */
  noteConfirmation(integrationId: string, topicArn: string): Promise<void>;
}

const sqlState = (error: unknown) =>
  error instanceof Error && "code" in error ? String(error.code) : "";

/** Neither JSON nor what headers and texts are cleaned to holds it: it parts texts of a column. */
const SEPARATOR = "\x1e";

/** Stores rows in one statement; see `marketplace.ingest_events`. */
async function insertRows(rows: EventRow[]): Promise<Stored[]> {
  const column = <K extends keyof EventRow>(name: K) => rows.map((row) => row[name]);
  const insert = () =>
    inTime(db()<Stored[]>`
      select outcome, event_id as "eventId", correlation_id as "correlationId"
      from marketplace.ingest_events(
        ${column("integrationId")}::uuid[],
        ${column("version")}::bigint[],
        ${column("dedupeKey")}::text[],
        ${column("eventType")}::text[],
        ${column("resourcePath")}::text[],
        ${column("account")}::text[],
        ${column("occurredAt")}::timestamptz[],
        string_to_array(${column("headers").join(SEPARATOR)}, ${SEPARATOR}),
        string_to_array(${column("payload").join(SEPARATOR)}, ${SEPARATOR}),
        ${column("receiveMs")}::real[],
        ${column("verifyMs")}::real[]
      )
      order by ordinal
    `);
  try {
    // 23514: the day's partition was attached while the row was on its way to the default one.
    return await insert().catch((error) => {
      if (sqlState(error) !== "23514") throw error;
      return insert();
    });
  } catch (error) {
    // 22: the payload is JSON but not jsonb; 54: beyond the database's limits.
    if (/^(22|54)...$/.test(sqlState(error))) {
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
}

const shared = new SharedStatement({
  run: insertRows,
  sizeOf: ({ payload }) => payload.length,
  // Else function and database take turns: one reads a burst while the other waits for it.
  crowd: 8,
});

/** The real one. */
export const databaseStore: Store = {
  async loadConfig(provider, integration) {
    const [row] = await inTime(db()`
      select marketplace.webhook_config(${provider}, ${integration}) as config
    `);
    return row?.config;
  },

  ingest: (rows) => shared.add(rows),

  async countRejections(rows) {
    await inTime(
      db()`select marketplace.count_rejections(${JSON.stringify(rows)}::text::jsonb)`,
    );
  },

  async health() {
    const [row] = await inTime(db()`select marketplace.health() as health`);
    return row!.health;
  },

  async acceptHookSecret(integrationId, secret) {
    const [row] = await inTime(db()`
      select marketplace.accept_hook_secret(${integrationId}, ${secret}) as accepted
    `);
    return row!.accepted;
  },

  async offerSecret(integrationId, secret) {
    await inTime(
      db()`select marketplace.offer_webhook_secret(${integrationId}, ${secret})`,
    );
  },

  async credentials(integrationId) {
    const [row] = await inTime(db()`
      select marketplace.integration_credentials(${integrationId}) as credentials
    `);
    return row!.credentials;
  },

  async notePush(integrationId, { channelId, resourceId, messageNumber, state }) {
    const [row] = await inTime(db()`
      select marketplace.note_push(
        ${integrationId}, ${channelId}, ${resourceId}, ${messageNumber}::text::bigint, ${state}
      ) as outcome
    `);
    return row!.outcome;
  },

  async noteAccountPush(integrationId, account) {
    const [row] = await inTime(db()`
      select marketplace.note_account_push(${integrationId}, ${account}) as outcome
    `);
    return row!.outcome;
  },

  async noteConfirmation(integrationId, topicArn) {
    await inTime(db()`select marketplace.note_confirmation(${integrationId}, ${topicArn})`);
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
