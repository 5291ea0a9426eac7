/** Pulling what has changed: cursors that are due, page by page, each stored before the next. */
import { type Sql, toJsonText } from "../_shared/db.ts";
import { toAppError } from "../_shared/errors.ts";
import { callerFor, CallError } from "../_shared/feeds/call.ts";
import { feedOf } from "../_shared/feeds/registry.ts";
import {
  CursorExpired,
  type Feed,
  type KnownItem,
  type LeasedCursor,
  type Page,
  type ProviderHook,
  type PullContext,
} from "../_shared/feeds/types.ts";
import type { Logger } from "../_shared/logger.ts";

/** How many accounts are pulled side by side. */
const PARALLEL = 4;
/** A page that expires again right after a full listing began is no page any more. */
const MAX_RESTARTS = 2;

/** What pulls did. */
export interface PullReport {
  pulls: number;
  events: number;
  failed_pulls: number;
}

/** Pulls every cursor that is due, until none is left or it is time to stop. */
export async function pullDue(sql: Sql, log: Logger, deadline: number): Promise<PullReport> {
  const report: PullReport = { pulls: 0, events: 0, failed_pulls: 0 };
  const work = async () => {
    while (performance.now() < deadline) {
      const [row] = await sql<{ leased: LeasedCursor }[]>`
        select marketplace.claim_cursors(1) as leased
      `;
      if (!row) return;
      report.pulls++;
      const { leased } = row;
      const { feed, scope, integration } = leased;
      try {
        const { stored, isPaused } = await pull(sql, leased, deadline);
        report.events += stored;
        log.info("pull.finished", { integration: integration.slug, feed, scope, stored, isPaused });
      } catch (thrown) {
        report.failed_pulls++;
        await fail(sql, log, leased, thrown);
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  return report;
}

async function pull(
  sql: Sql,
  leased: LeasedCursor,
  deadline: number,
): Promise<{ stored: number; isPaused: boolean }> {
  const feed = await feedOf(leased.feed);
  const context = contextOf(sql, leased);
  let stored = 0;
  let restarts = 0;
  for (;;) {
    const page = await step(feed, context, () => ++restarts <= MAX_RESTARTS);
    stored += await store(sql, leased, page);
    if (!page.hasMore) return { stored, isPaused: false };
    context.cursor.cursor = page.cursor;
    context.cursor.progress = page.progress ?? null;
    if (page.account) context.cursor.account = page.account;
    if (performance.now() >= deadline) {
      await sql`select marketplace.pause_pull(${leased.cursor_id}, ${leased.lease_id})`;
      return { stored, isPaused: true };
    }
  }
}

async function step(feed: Feed, context: PullContext, mayRestart: () => boolean): Promise<Page> {
  if (context.cursor.cursor === null) return await feed.start(context);
  try {
    return await feed.pull(context);
  } catch (error) {
    if (!(error instanceof CursorExpired) || !mayRestart()) throw error;
    return await feed.restart(context);
  }
}

/** Stores a page; says how many events were new. */
async function store(sql: Sql, { cursor_id, lease_id }: LeasedCursor, page: Page): Promise<number> {
  const { events, cursor, hasMore, progress, account, seen = [] } = page;
  const [row] = await sql<{ outcome: { stored: number } }[]>`
    select marketplace.store_changes(
      ${cursor_id}, ${lease_id}, ${toJsonText(events)}::text::jsonb, ${cursor}, ${hasMore},
      ${progress ? toJsonText(progress) : null}::text::jsonb, ${account ?? null}, ${seen}::text[]
    ) as outcome
  `;
  return row!.outcome.stored;
}

function contextOf(sql: Sql, leased: LeasedCursor): PullContext {
  const { cursor_id, integration, scope } = leased;
  return {
    cursor: { ...leased },
    call: callerFor(sql, leased),
    async known(ids) {
      if (ids.length === 0) return new Map();
      const items = await sql<KnownItem[]>`
        select * from marketplace.known_items(${cursor_id}, ${ids}::text[])
      `;
      return new Map(items.map((item) => [item.item_id, item]));
    },
    async unseen(since) {
      return [
        ...await sql<KnownItem[]>`
          select * from marketplace.unseen_items(${cursor_id}, ${since}::text::timestamptz)
        `,
      ];
    },
    async unknownDeliveries(keys) {
      if (keys.length === 0) return new Set();
      const rows = await sql<{ key: string }[]>`
        select k as key from marketplace.unknown_deliveries(${integration.id}, ${keys}::text[]) as k
      `;
      return new Set(rows.map(({ key }) => key));
    },
    async webhook() {
      const [row] = await sql<{ hook: ProviderHook | null }[]>`
        select marketplace.webhook_at(${integration.id}, ${scope}) as hook
      `;
      return row!.hook;
    },
    async webhookConfig() {
      const [row] = await sql<{ config: { webhook_config: unknown } }[]>`
        select marketplace.webhook_config(${integration.provider}, ${integration.slug}) as config
      `;
      return row!.config.webhook_config;
    },
  };
}

async function fail(sql: Sql, log: Logger, leased: LeasedCursor, thrown: unknown): Promise<void> {
  const { cursor_id, lease_id, feed, scope, integration } = leased;
  const error = thrown instanceof CallError ? thrown : toAppError(thrown);
  const isLost = error.code === "conflict" || error.code === "MK409";
  const retryAfterMs = error instanceof CallError ? error.retryAfterMs ?? null : null;
  log.warn("pull.failed", {
    integration: integration.slug,
    feed,
    scope,
    code: error.code,
    message: error.message,
    ...(error instanceof CallError ? {} : { cause: describe(error.cause) }),
  });
  if (isLost) return;
  const message = thrown instanceof CursorExpired
    ? "The provider refuses every cursor, also that of a listing just begun."
    : error.message;
  try {
    await sql`
      select marketplace.fail_pull(
        ${cursor_id}, ${lease_id}, ${error.code}, ${message}, ${retryAfterMs}::float8::numeric
      )
    `;
  } catch (failure) {
    // Its lease runs out, and the sweep finds it.
    log.warn("pull.unreported", { cursor_id, message: toAppError(failure).message });
  }
}

function describe(cause: unknown): string | undefined {
  return cause instanceof Error ? `${cause.name}: ${cause.message}` : undefined;
}
