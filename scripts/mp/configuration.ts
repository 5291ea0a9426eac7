/**
 * All configuration as one document: read from a database, compared, and brought into another.
 *
 * Things are named by slug, rules by source and name, never by id, so that the file fits any
 * database. Secrets are not in it, nor what a rule or workflow only is for a while (paused, disabled
 * by its receiver, circuit open).
 * @module
 */
import { z } from "zod";
import type { Sql } from "./session.ts";

const slug = z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, "is no slug such as my-thing");
const object = z.record(z.string(), z.json());

const Settings = z.strictObject({
  event_retention: z.string(),
  dedupe_retention: z.string(),
  attempt_retention: z.string(),
  execution_retention: z.string(),
  job_retention: z.string(),
  rejection_retention: z.string(),
  partitions_ahead: z.int(),
  reconcile_every: z.string(),
});

const Organization = z.strictObject({ slug, name: z.string(), is_default: z.boolean() });

const Integration = z.strictObject({
  slug,
  name: z.string(),
  organization: slug,
  provider: z.string(),
  category: z.string(),
  status: z.enum(["active", "inactive"]),
  is_default: z.boolean(),
  config: object,
});

const Workflow = z.strictObject({
  slug,
  name: z.string(),
  description: z.string(),
  organization: slug,
  kind: z.enum(["n8n", "windmill", "http", "postgres"]),
  endpoint: z.string(),
  completion: z.enum(["callback", "response"]),
  is_active: z.boolean(),
  allows_private_network: z.boolean(),
  sends_payload: z.boolean(),
  max_concurrency: z.int(),
  max_per_key: z.int(),
  rate_per_second: z.number().nullable(),
  timeout_ms: z.int(),
  lease: z.string(),
  max_attempts: z.int(),
  retry_base: z.string(),
  retry_cap: z.string(),
  breaker_threshold: z.int(),
  breaker_cooldown: z.string(),
});

const Rule = z.strictObject({
  name: z.string(),
  description: z.string(),
  source: slug,
  is_active: z.boolean(),
  event_types: z.array(z.string()),
  source_pattern: z.string(),
  filter: z.string().nullable(),
  artifact_types: z.array(z.string()),
  destination: slug.nullable(),
  destination_template: z.string(),
  workflow: slug,
  notify: slug.nullable(),
  notify_channel: z.string().nullable(),
  priority: z.int(),
  max_attempts: z.int().nullable(),
  retry_base: z.string().nullable(),
  retry_cap: z.string().nullable(),
  concurrency_key: z.string().nullable(),
  absorbs: z.boolean(),
  schedule: z.string().nullable(),
  config: object,
});

const NotificationEndpoint = z.strictObject({
  organization: slug,
  url: z.string(),
  event_types: z.array(z.string()).min(1),
  description: z.string(),
  allows_private_network: z.boolean(),
});

/** The document. */
export const Configuration = z.strictObject({
  version: z.literal(1),
  settings: Settings,
  organizations: z.array(Organization),
  integrations: z.array(Integration),
  workflows: z.array(Workflow),
  rules: z.array(Rule),
  notification_endpoints: z.array(NotificationEndpoint),
});
export type Configuration = z.infer<typeof Configuration>;

/** A list of the document. */
export type ListName = Exclude<keyof Configuration, "version" | "settings">;

type Item = Record<string, unknown>;

/** What an item of each list is known by. */
const KEYS: Record<ListName, (item: Item) => string> = {
  organizations: ({ slug }) => String(slug),
  integrations: ({ slug }) => String(slug),
  workflows: ({ slug }) => String(slug),
  rules: ({ source, name }) => `${source}: ${name}`,
  notification_endpoints: ({ organization, url }) => `${organization}: ${url}`,
};

/** The lists in an order in which each only names what stands before it. */
export const LISTS = Object.keys(KEYS) as ListName[];

/**
 * Reads a database's configuration, sorted, so that the same configuration is the same text.
 * @throws {Error} when two rules of a source have one name
 */
export async function readConfiguration(sql: Sql): Promise<Configuration> {
  const [settings] = await sql<Configuration["settings"][]>`
    select event_retention::text, dedupe_retention::text, attempt_retention::text,
      execution_retention::text, job_retention::text, rejection_retention::text, partitions_ahead,
      reconcile_every::text
    from marketplace.settings`;
  const organizations = await sql<Configuration["organizations"]>`
    select slug, name, is_default from marketplace.organizations`;
  const integrations = await sql<Configuration["integrations"]>`
    select i.slug, i.name, o.slug as organization, i.provider, i.category,
      case i.status when 'inactive' then 'inactive' else 'active' end as status, i.is_default,
      -- the door for a handshake is open for minutes only
      i.config #- '{webhook,accept_handshake_until}' as config
    from marketplace.integrations as i
    join marketplace.organizations as o on o.id = i.organization_id`;
  // Workflow and rule of a notification endpoint are made with it.
  const workflows = await sql<Configuration["workflows"]>`
    select w.slug, w.name, w.description, o.slug as organization, w.kind, w.endpoint, w.completion,
      w.is_active or w.disabled_reason is not null as is_active, w.allows_private_network,
      w.sends_payload, w.max_concurrency, w.max_per_key, w.rate_per_second, w.timeout_ms,
      w.lease::text, w.max_attempts, w.retry_base::text, w.retry_cap::text, w.breaker_threshold,
      w.breaker_cooldown::text
    from marketplace.workflows as w
    join marketplace.organizations as o on o.id = w.organization_id
    where not exists (select from marketplace.notification_endpoints as n where n.workflow_id = w.id)`;
  const rules = await sql<Configuration["rules"]>`
    select r.name, r.description, s.slug as source, r.is_active, r.event_types, r.source_pattern,
      r.filter::text, r.artifact_types, d.slug as destination, r.destination_template,
      w.slug as workflow, n.slug as notify, r.notify_channel, r.priority, r.max_attempts,
      r.retry_base::text, r.retry_cap::text, r.concurrency_key, r.absorbs, r.schedule,
      r.config
    from marketplace.sync_rules as r
    join marketplace.integrations as s on s.id = r.source_integration_id
    join marketplace.workflows as w on w.id = r.workflow_id
    left join marketplace.integrations as d on d.id = r.destination_integration_id
    left join marketplace.integrations as n on n.id = r.notify_integration_id
    where not exists (select from marketplace.notification_endpoints as e where e.rule_id = r.id)`;
  const endpoints = await sql<Configuration["notification_endpoints"]>`
    select o.slug as organization, n.url, n.event_types, n.description, w.allows_private_network
    from marketplace.notification_endpoints as n
    join marketplace.organizations as o on o.id = n.organization_id
    join marketplace.workflows as w on w.id = n.workflow_id`;
  const read: Configuration = {
    version: 1,
    settings: { ...settings! },
    organizations: sorted("organizations", organizations),
    integrations: sorted("integrations", integrations),
    workflows: sorted("workflows", workflows),
    rules: sorted("rules", rules),
    notification_endpoints: sorted("notification_endpoints", endpoints),
  };
  refuseDuplicates(read);
  return sortKeys(read) as Configuration;
}

function sorted<T extends Item>(list: ListName, items: readonly T[]): T[] {
  const key = KEYS[list];
  return items.map((item) => ({ ...item })).sort((a, b) => key(a) < key(b) ? -1 : 1);
}

/** @throws {Error} when a list names something twice */
export function refuseDuplicates(configuration: Configuration): void {
  for (const list of LISTS) {
    const keys = (configuration[list] as Item[]).map(KEYS[list]);
    const twice = keys.find((key, at) => keys.indexOf(key) !== at);
    if (twice) {
      throw new Error(
        `There are two ${list.replace("_", " ")} called "${twice}": rename one of them first.`,
      );
    }
  }
}

/** Objects' members in the order of their names; lists as they are, as their order has a meaning. */
function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map((
      [key, each],
    ) => [key, sortKeys(each)]),
  );
}

/** One difference between what is and what is wanted. */
export interface Change {
  list: ListName | "settings";
  key: string;
  kind: "create" | "update";
  /** What changes: member → from and to; of something new, all that it will be. */
  fields: Record<string, { from?: unknown; to: unknown }>;
}

/** What would make `current` equal to `wanted`; what only is in `current` is left alone. */
export function compareConfigurations(current: Configuration, wanted: Configuration): Change[] {
  const changes: Change[] = [];
  const compare = (list: Change["list"], key: string, from: Item | undefined, to: Item) => {
    const fields = Object.fromEntries(
      Object.entries(to)
        .filter(([name, value]) => !from || !same(from[name], value))
        .map(([name, value]) => [name, from ? { from: from[name], to: value } : { to: value }]),
    );
    if (Object.keys(fields).length === 0) return;
    changes.push({ list, key, kind: from ? "update" : "create", fields });
  };
  compare("settings", "settings", current.settings, wanted.settings);
  for (const list of LISTS) {
    const key = KEYS[list];
    const there = new Map((current[list] as Item[]).map((item) => [key(item), item]));
    for (const item of wanted[list] as Item[]) compare(list, key(item), there.get(key(item)), item);
  }
  return changes;
}

/** What only is in `current`, as `list key`. */
export function onlyIn(current: Configuration, wanted: Configuration): string[] {
  return LISTS.flatMap((list) => {
    const known = new Set((wanted[list] as Item[]).map(KEYS[list]));
    return (current[list] as Item[]).map(KEYS[list]).filter((key) => !known.has(key))
      .map((key) => `${list} ${key}`);
  });
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(sortKeys(a)) === JSON.stringify(sortKeys(b));
}

/** A secret that was made on the way; shown once. */
export interface MadeSecret {
  url: string;
  signing_secret: string;
}

/**
 * Brings changes into a database; all of them or none.
 * @param wanted the document they were found in
 * @returns signing secrets of notification endpoints that are new
 */
export async function applyChanges(
  sql: Sql,
  changes: readonly Change[],
  wanted: Configuration,
): Promise<MadeSecret[]> {
  const secrets: MadeSecret[] = [];
  const pick = <L extends ListName>(list: L): Configuration[L] => {
    const keys = new Set(changes.filter((each) => each.list === list).map(({ key }) => key));
    return (wanted[list] as Item[]).filter((item) => keys.has(KEYS[list](item))) as never;
  };
  await sql.begin(async (tx) => {
    if (changes.some(({ list }) => list === "settings")) {
      await tx`update marketplace.settings set ${tx(wanted.settings)}`;
    }
    for (const { slug, name, is_default } of pick("organizations")) {
      if (is_default) {
        await tx`
          update marketplace.organizations set is_default = false where is_default and slug <> ${slug}`;
      }
      await tx`
        insert into marketplace.organizations (slug, name, is_default)
        values (${slug}, ${name}, ${is_default})
        on conflict (slug) do update set name = excluded.name, is_default = excluded.is_default`;
    }
    for (const item of pick("integrations")) {
      const { slug, name, provider, category, config, organization, status, is_default } = item;
      await tx`
        select marketplace.register_integration(
          ${slug}, ${name}, ${provider}, ${category}, ${JSON.stringify(config)}::text::jsonb,
          ${organization}
        )`;
      if (is_default) {
        await tx`
          update marketplace.integrations set is_default = false
          where provider = ${provider} and is_default and slug <> ${slug}`;
      }
      await tx`
        update marketplace.integrations
        set is_default = ${is_default},
          status = case when ${status} = 'inactive' or status = 'inactive' then ${status} else status end
        where slug = ${slug}`;
    }
    for (const { organization, ...row } of pick("workflows")) {
      await tx`
        insert into marketplace.workflows ${tx(row)}
        on conflict (slug) do update set ${tx(row)}, disabled_reason = null`;
      await tx`
        update marketplace.workflows
        set organization_id = (select o.id from marketplace.organizations as o where o.slug = ${organization})
        where slug = ${row.slug}`;
    }
    for (const { source, destination, notify, workflow, filter, config, ...row } of pick("rules")) {
      const [known] = await tx<{ id: string }[]>`
        select r.id from marketplace.sync_rules as r
        join marketplace.integrations as s on s.id = r.source_integration_id
        where s.slug = ${source} and r.name = ${row.name}`;
      const [found] = await tx<{ workflow_id: string | null }[]>`
        select (select id from marketplace.workflows where slug = ${workflow}) as workflow_id`;
      if (!found!.workflow_id) {
        throw new Error(`Rule "${row.name}" names workflow ${workflow}, which does not exist.`);
      }
      const references = tx`
        source_integration_id = marketplace._integration_id(${source}),
        destination_integration_id = case when ${destination}::text is not null
          then marketplace._integration_id(${destination}) end,
        notify_integration_id = case when ${notify}::text is not null
          then marketplace._integration_id(${notify}) end,
        workflow_id = ${found!.workflow_id}, filter = ${filter}::text::jsonpath,
        config = ${JSON.stringify(config)}::text::jsonb`;
      const id = known?.id ?? (await tx<{ id: string }[]>`
        insert into marketplace.sync_rules (name, source_integration_id, workflow_id, is_active)
        values (${row.name}, marketplace._integration_id(${source}), ${found!.workflow_id}, false)
        returning id`)[0]!.id;
      await tx`update marketplace.sync_rules set ${tx(row)}, ${references} where id = ${id}`;
    }
    for (const endpoint of pick("notification_endpoints")) {
      const { url, event_types, description, organization, allows_private_network } = endpoint;
      const [made] = await tx<{ signing_secret: string | null }[]>`
        select signing_secret from marketplace.add_notification_endpoint(
          ${url}, ${event_types}, ${description}, ${organization}, ${allows_private_network})`;
      if (made?.signing_secret) secrets.push({ url, signing_secret: made.signing_secret });
    }
  });
  return secrets;
}
