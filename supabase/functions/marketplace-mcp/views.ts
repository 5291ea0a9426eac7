/** The control plane's views, as resources and as tools. */
import type { ISql, PendingQuery, Row } from "postgres";
import { AppError } from "../_shared/errors.ts";
import type { Access, Scope } from "./access.ts";

/** How many rows a resource holds. */
const RESOURCE_ROWS = 200;

type Fragment = PendingQuery<Row[]>;

interface View {
  name: string;
  title: string;
  description: string;
  /** What an API key needs to read it; null: it has no organization, so no key reads it. */
  scope: Scope | null;
  /** Only the service reads it. */
  isServiceOnly?: boolean;
  /** Which rows of its organization a key without the scope admin sees; all when absent. */
  ofKey?: (sql: ISql, keyId: string) => Fragment;
}

const VIEWS: readonly View[] = [
  {
    name: "v_recent_syncs",
    title: "Recent syncs",
    description: "Artifact syncs, latest first: what went where, and whether it arrived.",
    scope: "read",
  },
  {
    name: "v_dead_letters",
    title: "Dead letters",
    description: "Jobs that were given up and not replayed since, latest first, with the reason.",
    scope: "read",
  },
  {
    name: "v_integration_health",
    title: "Integration health",
    description: "Each integration: its status, what was last wrong with it, its last event.",
    scope: "read",
  },
  {
    name: "v_recent_executions",
    title: "Recent executions",
    description: "Actions run at providers, latest first.",
    scope: "read",
    ofKey: (sql, keyId) =>
      sql`
      v.id in (
        select x.id from marketplace.execution_logs as x
        where x.id = v.id and x.created_at = v.created_at and ${executionOfKey(sql, keyId)}
      )`,
  },
  {
    name: "v_expiring_connections",
    title: "Expiring connections",
    description: "Connections that want their owner: refused, failing, or about to end.",
    scope: "read",
    ofKey: (sql) => sql`v.is_shared`,
  },
  {
    name: "v_job_queue",
    title: "Job queue",
    description: "Per workflow: its circuit, how many jobs wait, are due, are running.",
    scope: "read",
  },
  {
    name: "v_quota_status",
    title: "Quota status",
    description: "How much of each provider's rate limit is spent in the running window.",
    scope: "admin",
  },
  {
    name: "v_event_rates",
    title: "Event rates",
    description: "Events of the last hour by minute, provider and type.",
    scope: null,
  },
  {
    name: "v_latency",
    title: "Latency",
    description: "Completed attempts of the last hour by workflow, in milliseconds.",
    scope: null,
  },
  {
    name: "v_webhook_rejections",
    title: "Webhook rejections",
    description: "Refused deliveries by minute, provider and reason, latest first.",
    scope: null,
    isServiceOnly: true,
  },
  {
    name: "v_alerts",
    title: "Alerts",
    description: "What wants a human's eye just now, worst first.",
    scope: null,
    isServiceOnly: true,
  },
];

/**
 * Which executions a key sees that does not administer its organization, as the policy says of
 * members: its own, and what was done with no user's account.
 */
export function executionOfKey(sql: ISql, keyId: string): Fragment {
  return sql`(
    x.api_key_id = ${keyId}::uuid
    or x.user_id is null and x.connection_id is null
    or x.connection_id in (select c.id from marketplace.connections as c where c.is_shared)
  )`;
}

/** The views that a caller may read. */
export function viewsOf(access: Access): readonly View[] {
  return VIEWS.filter(({ scope, isServiceOnly }) =>
    access.kind === "service" ||
    !isServiceOnly && (access.kind === "user" || scope !== null && access.can(scope))
  );
}

/**
 * Rows of a view, as the caller sees them.
 *
 * @param name one of {@link viewsOf}
 * @throws AppError `not_found` (404)
 */
export async function readView(
  access: Access,
  name: string,
  limit: number = RESOURCE_ROWS,
): Promise<Row[]> {
  const view = viewsOf(access).find((each) => each.name === name);
  if (!view) throw new AppError("not_found", 404, `There is no view ${name} that you may read.`);
  const { key } = access;
  return await access.read(async (sql) => {
    const mine = key
      ? sql`where v.organization_id = ${key.organization_id}::uuid
        ${view.ofKey && !access.can("admin") ? sql`and ${view.ofKey(sql, key.id)}` : sql``}`
      : sql``;
    return await sql`select v.* from ${
      sql(`marketplace.${view.name}`)
    } as v ${mine} limit ${limit}`;
  });
}
