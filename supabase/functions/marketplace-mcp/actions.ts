/** The actions that a caller may run, as tools. */
import { createHash } from "node:crypto";
import type { Tool } from "@modelcontextprotocol/sdk/types";
import type { Access } from "./access.ts";

/** An action with the account it would run on. */
export interface CallableAction {
  action_id: string;
  /** Slug of the action. */
  action: string;
  name: string;
  method: string;
  is_read_only: boolean;
  is_idempotent: boolean;
  integration: string;
  integration_name: string;
  /** null: the integration's own credential. */
  connection_id: string | null;
  connection_name: string | null;
  account: string | null;
}

/** An action found by a search. */
export interface FoundAction {
  integration: string;
  action: string;
  name: string;
  description: string;
  is_read_only: boolean;
  is_destructive: boolean;
  is_idempotent: boolean;
  /** The accounts it can run on; none: the integration's own credential. */
  connections: { id: string; name: string; account: string | null }[];
  /** JSON Schema of the parameters. */
  parameters: Record<string, unknown>;
}

/** What many clients and models take for a tool's name. */
const MAX_NAME = 64;

/**
 * Every action the caller may run: of the active connections it sees, or, for the service, of the
 * platform's own integrations. Without schemas, as there may be many.
 */
export async function callableActions(access: Access): Promise<CallableAction[]> {
  if (!access.can("execute")) return [];
  const targets = await targetRows(access);
  return await access.sql<CallableAction[]>`
    select a.id as action_id, a.slug as action, a.name, a.method, a.is_read_only, a.is_idempotent,
      i.slug as integration, i.name as integration_name,
      t.connection_id, t.connection_name, t.account
    from json_to_recordset(${JSON.stringify(targets)}::text::json) as t
      (position int, integration_id uuid, connection_id uuid, connection_name text, account text)
    join marketplace.integrations as i on i.id = t.integration_id and i.status <> 'inactive'
    join marketplace.actions as a on a.provider_slug = i.provider
    where marketplace._action_allowed(${access.key?.allowed_actions ?? []}::text[], i.slug, a.slug)
    order by t.position, a.slug
  `;
}

interface Target {
  position: number;
  integration_id: string;
  connection_id: string | null;
  connection_name: string | null;
  account: string | null;
}

async function targetRows({ kind, key, read }: Access): Promise<Target[]> {
  // The order decides which of several connections has the plain name: the oldest, so that names
  // stay when another account is connected.
  return await read<Target[]>((sql) =>
    kind === "service"
      ? sql<Target[]>`
        select row_number() over (order by i.slug)::int as position, i.id as integration_id,
          null as connection_id, null as connection_name, null as account
        from marketplace.integrations as i
        where i.organization_id = marketplace._default_organization_id()
      `
      : sql<Target[]>`
        select row_number() over (order by c.created_at, c.id)::int as position, c.integration_id,
          c.id as connection_id, c.name as connection_name, c.account
        from marketplace.connections as c
        where c.status = 'active'
          and (${key === null} or c.is_shared and c.organization_id = ${
        key?.organization_id ?? null
      }::uuid)
      `
  );
}

/**
 * A name for each action: `<integration>__<action>`, and `<integration>_<connection>__<action>` for
 * all but the oldest connection of an integration. The same list gives the same names.
 */
export function nameActions(actions: readonly CallableAction[]): Map<string, CallableAction> {
  const named = new Map<string, CallableAction>();
  const oldest = new Map<string, string | null>();
  for (const action of actions) {
    const { integration, connection_id, connection_name } = action;
    if (!oldest.has(integration)) oldest.set(integration, connection_id);
    const isOldest = oldest.get(integration) === connection_id;
    const target = isOldest ? integration : `${integration}_${connection_name}`;
    let name = `${safe(target)}__${safe(action.action)}`;
    if (name.length > MAX_NAME || named.has(name)) {
      const tail = createHash("sha256").update(`${connection_id}/${integration}/${action.action}`)
        .digest("hex").slice(0, 8);
      name = `${name.slice(0, MAX_NAME - 1 - tail.length)}_${tail}`;
    }
    named.set(name, action);
  }
  return named;
}

const safe = (text: string) => text.replace(/[^A-Za-z0-9_-]+/g, "_").replace(/^_+|_+$/g, "");

/** The actions as tools, with their schemas as they stand in the catalogue. */
export async function actionTools(
  { sql }: Access,
  named: ReadonlyMap<string, CallableAction>,
): Promise<Tool[]> {
  if (named.size === 0) return [];
  const ids = [...new Set([...named.values()].map((action) => action.action_id))];
  const rows = await sql<{ id: string; description: string; request_schema: object }[]>`
    select id, description, request_schema from marketplace.actions where id = any(${ids}::uuid[])
  `;
  const texts = new Map(rows.map((row) => [row.id, row]));
  return [...named].flatMap(([name, action]) => {
    const row = texts.get(action.action_id);
    if (!row) return [];
    const { integration_name, connection_name, account } = action;
    const on = [connection_name ?? integration_name, account].filter(Boolean).join(", ");
    return [{
      name,
      title: `${action.name} (${connection_name ?? integration_name})`,
      description: [`${action.name} with ${integration_name} (${on}).`, row.description]
        .filter(Boolean).join("\n"),
      inputSchema: { ...row.request_schema, type: "object" as const },
      annotations: annotationsOf(action),
    }];
  });
}

/** What a client may be told of an action before it runs. */
export function annotationsOf(
  { action, method, is_read_only, is_idempotent }: Pick<
    CallableAction,
    "action" | "method" | "is_read_only" | "is_idempotent"
  >,
) {
  return {
    readOnlyHint: is_read_only,
    destructiveHint: isDestructive({ action, method, is_read_only }),
    idempotentHint: is_read_only || is_idempotent,
    openWorldHint: true,
  };
}

/** Whether what is there is changed or taken away. A POST only adds, unless its name says more. */
function isDestructive(
  { action, method, is_read_only }: Pick<CallableAction, "action" | "method" | "is_read_only">,
): boolean {
  if (is_read_only) return false;
  return method !== "POST" ||
    /delete|remove|trash|archive|cancel|revoke|purge|clear|drop|unlink|update|write|edit|move|close|void|refund/i
      .test(action);
}

/**
 * The actions among `actions` that fit a query best, with their schemas.
 *
 * @param query words; empty: all, by name
 * @param limit how many at most
 */
export async function searchActions(
  { sql }: Access,
  actions: readonly CallableAction[],
  { query, limit }: { query: string; limit: number },
): Promise<{ total: number; actions: FoundAction[] }> {
  const words = [...new Set(wordsOf(query))].slice(0, 12).map((word) => `${word}:*`);
  // One entry an integration's action, whatever the number of connections.
  const groups = new Map<string, CallableAction[]>();
  for (const action of actions) {
    const key = `${action.integration}/${action.action_id}`;
    groups.set(key, [...groups.get(key) ?? [], action]);
  }
  const rows = await sql<
    { key: string; description: string; request_schema: Record<string, unknown>; total: number }[]
  >`
    with candidate as (
      select c.key, c.position, a.description, a.request_schema,
        to_tsvector('english', c.words) as names,
        to_tsvector('english', c.words || ' ' || a.description) as document
      from json_to_recordset(${
    JSON.stringify([...groups].map(([key, [action]], position) => ({
      key,
      position,
      action_id: action!.action_id,
      words: wordsOf(
        `${action!.integration} ${action!.integration_name} ${action!.action} ${action!.name}`,
      ).join(" "),
    })))
  }::text::json) as c (key text, position int, action_id uuid, words text)
      join marketplace.actions as a on a.id = c.action_id
    ),
    query as (
      select to_tsquery('english', ${words.join(" | ")}) as words
    )
    select c.key, c.description, c.request_schema, count(*) over ()::int as total
    from candidate as c, query as q
    where ${words.length === 0} or c.document @@ q.words
    -- whoever has most of the words, then whoever is named by little else
    order by (
        select count(*) from unnest(${words}::text[]) as w (word)
        where c.document @@ to_tsquery('english', w.word)
      ) desc,
      case when ${words.length === 0} then 0 else ts_rank(c.names, q.words, 1) end desc,
      c.position
    limit ${limit}
  `;
  return {
    total: rows[0]?.total ?? 0,
    actions: rows.map(({ key, description, request_schema }) => {
      const group = groups.get(key)!;
      const first = group[0]!;
      return {
        integration: first.integration,
        action: first.action,
        name: first.name,
        description,
        is_read_only: first.is_read_only,
        is_destructive: isDestructive(first),
        is_idempotent: first.is_read_only || first.is_idempotent,
        connections: group.flatMap(({ connection_id: id, connection_name, account }) =>
          id === null ? [] : [{ id, name: connection_name!, account }]
        ),
        parameters: request_schema,
      };
    }),
  };
}

/** The words of a text, also of camelCase and dotted names, without any punctuation. */
function wordsOf(text: string): string[] {
  const spaced = text.replace(/(\p{Ll}|\p{N})(\p{Lu})/gu, "$1 $2").toLowerCase();
  return spaced.match(/[\p{L}\p{N}]+/gu) ?? [];
}
