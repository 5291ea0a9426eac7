/** The control plane as tools: what there is, how it went, and what an operator does about it. */
import type { ToolAnnotations } from "@modelcontextprotocol/sdk/types";
import { z } from "zod";
import { toJsonText } from "../_shared/db.ts";
import { AppError } from "../_shared/errors.ts";
import { type Access, administeredOrganizations, type Scope } from "./access.ts";
import { executionOfKey, readView } from "./views.ts";

/** A tool whose arguments are checked here, as against an action's, which the gateway checks. */
export interface ControlTool {
  name: string;
  title: string;
  description: string;
  input: z.ZodObject;
  annotations: ToolAnnotations;
  /** What an API key must be good for; "service": nobody but the service may. */
  needs: Scope | "service";
  /** @throws AppError, whose message the caller is shown */
  run(access: Access, input: unknown): Promise<Record<string, unknown>>;
}

function tool<S extends z.ZodObject>(
  definition: Omit<ControlTool, "input" | "run"> & {
    input: S;
    run: (access: Access, input: z.infer<S>) => Promise<Record<string, unknown>>;
  },
): ControlTool {
  const { input, run } = definition;
  return { ...definition, run: (access, value) => run(access, input.parse(value)) };
}

const LOOKS: ToolAnnotations = {
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
};
const Limit = z.int().min(1).max(200).default(20).describe("How many rows at most");

const listIntegrations = tool({
  name: "list_integrations",
  title: "List integrations",
  description: "The integrations you may use, each with the accounts connected under it.",
  input: z.strictObject({}),
  annotations: LOOKS,
  needs: "read",
  run: async (access) => {
    const { key, user } = access;
    const seen = await access.read(async (sql) => ({
      integrations: await sql<{ id: string }[]>`
        select i.id from marketplace.integrations as i
        where ${key === null} or i.organization_id = ${key?.organization_id ?? null}::uuid
      `,
      connections: await sql<{ id: string }[]>`
        select c.id from marketplace.connections as c
        where ${key === null}
          or c.is_shared and c.organization_id = ${key?.organization_id ?? null}::uuid
      `,
    }));
    // An integration of the platform shows to those who have connected an account under it.
    const integrations = await access.sql`
      with
      seen as (select unnest(${seen.integrations.map(({ id }) => id)}::uuid[]) as id),
      connection as (
        select c.* from marketplace.connections as c
        where c.id = any(${seen.connections.map(({ id }) => id)}::uuid[])
      )
      select i.slug as integration, i.name, i.provider, i.category, i.status, o.slug as organization,
        case when i.id in (select s.id from seen as s) then i.health_status end as health_status,
        case when i.id in (select s.id from seen as s) then i.error_message end as error_message,
        (
          select count(*)::int from marketplace.actions as a
          where a.provider_slug = i.provider and marketplace._action_allowed(
            ${key?.allowed_actions ?? []}::text[], i.slug, a.slug
          )
        ) as action_count,
        (
          select coalesce(json_agg(json_build_object(
            'connection_id', c.id, 'name', c.name, 'account', c.account, 'status', c.status,
            'error_message', c.error_message, 'is_shared', c.is_shared,
            'is_own', c.user_id is not distinct from ${user?.userId ?? null}::uuid
          ) order by c.created_at, c.id), '[]')
          from connection as c where c.integration_id = i.id
        ) as connections
      from marketplace.integrations as i
      join marketplace.organizations as o on o.id = i.organization_id
      where i.id in (select s.id from seen as s)
        or i.id in (select c.integration_id from connection as c)
      order by i.slug
    `;
    return { integrations };
  },
});

const recentSyncs = tool({
  name: "recent_syncs",
  title: "Recent syncs",
  description: "Artifact syncs, latest first: what went where, and whether it arrived.",
  input: z.strictObject({ limit: Limit }),
  annotations: LOOKS,
  needs: "read",
  run: async (access, { limit }) => ({ syncs: await readView(access, "v_recent_syncs", limit) }),
});

const deadLetters = tool({
  name: "dead_letters",
  title: "Dead letters",
  description: "Jobs that were given up and not replayed since, latest first, with the reason.",
  input: z.strictObject({ limit: Limit }),
  annotations: LOOKS,
  needs: "read",
  run: async (access, { limit }) => ({ jobs: await readView(access, "v_dead_letters", limit) }),
});

const alerts = tool({
  name: "alerts",
  title: "Alerts",
  description: "What wants a human's eye just now, worst first.",
  input: z.strictObject({}),
  annotations: LOOKS,
  needs: "service",
  run: async (access) => ({ alerts: await readView(access, "v_alerts") }),
});

const trace = tool({
  name: "trace",
  title: "Trace",
  description:
    "Everything that happened under a correlation id, in order: received, routed, dispatched, copied, executed, …",
  input: z.strictObject({ correlation_id: z.guid().describe("As every answer and row has it") }),
  annotations: LOOKS,
  needs: "read",
  run: async (access, { correlation_id }) => {
    const { key } = access;
    const steps = await access.read(async (sql) =>
      await sql`
        select t.* from marketplace.trace(${correlation_id}::uuid) as t
        ${
        key === null ? sql`` : sql`
          -- trace() tells no organizations apart: a key is told all of it, or nothing.
          where (
            select coalesce(bool_and(s.is_visible), false)
            from (
              select e.organization_id = ${key.organization_id}::uuid
              from marketplace.webhook_events as e where e.correlation_id = ${correlation_id}::uuid
              union all
              select j.organization_id = ${key.organization_id}::uuid
              from marketplace.sync_jobs as j where j.correlation_id = ${correlation_id}::uuid
              union all
              select a.organization_id = ${key.organization_id}::uuid
              from marketplace.artifact_syncs as a where a.correlation_id = ${correlation_id}::uuid
              union all
              select x.organization_id = ${key.organization_id}::uuid
                and (${access.can("admin")} or ${executionOfKey(sql, key.id)})
              from marketplace.execution_logs as x where x.correlation_id = ${correlation_id}::uuid
            ) as s (is_visible)
          )`
      }
      `
    );
    if (steps.length > 0) return { steps };
    throw new AppError("not_found", 404, `Nothing of yours happened under ${correlation_id}.`);
  },
});

const replayJob = tool({
  name: "replay_job",
  title: "Replay a job",
  description: "Runs a finished job again, under its correlation id. It does its work once more.",
  input: z.strictObject({ job_id: z.guid().describe("As dead_letters has it") }),
  annotations: {
    readOnlyHint: false,
    destructiveHint: true,
    idempotentHint: false,
    openWorldHint: true,
  },
  needs: "admin",
  run: async (access, { job_id }) => {
    const { key } = access;
    const [job] = await access.read((sql) =>
      sql<{ organization_id: string }[]>`
        select j.organization_id from marketplace.sync_jobs as j
        where j.id = ${job_id}::uuid
          and (${key === null} or j.organization_id = ${key?.organization_id ?? null}::uuid)
      `
    );
    if (!job) throw new AppError("not_found", 404, `Job ${job_id} does not exist.`);
    if (
      access.kind === "user" &&
      !(await administeredOrganizations(access)).includes(job.organization_id)
    ) {
      throw new AppError(
        "forbidden",
        403,
        "Owners and admins of the organization replay its jobs.",
      );
    }
    const [row] = await access.sql<{ replay_id: string }[]>`
      select marketplace.replay_job(${job_id}::uuid) as replay_id
    `;
    return { job_id: row!.replay_id, replay_of: job_id };
  },
});

/** Settings by which the platform trusts an integration more than others. */
const PLATFORM_SETTINGS = ["allow_private_network", "allow_other_organizations"];

const registerIntegration = tool({
  name: "register_integration",
  title: "Register an integration",
  description:
    "Adds a configured provider to an organization. Its config holds settings such as api_base, never a secret.",
  input: z.strictObject({
    slug: z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/).max(100).describe(
      "Unique, such as acme-crm",
    ),
    name: z.string().min(1).max(200),
    provider: z.string().min(1).describe("Slug of a provider of the catalogue"),
    category: z.string().regex(/^[a-z][a-z0-9_]*$/).optional().describe("Default: the provider's"),
    config: z.record(z.string(), z.unknown()).default({}),
    organization: z.string().min(1).optional().describe("Slug or id; needed if you have several"),
  }),
  annotations: {
    readOnlyHint: false,
    destructiveHint: false,
    idempotentHint: false,
    openWorldHint: false,
  },
  needs: "admin",
  run: async (access, input) => {
    const organization = await organizationToManage(access, input.organization);
    if (access.kind !== "service") await refusePlatformMatters(access, organization, input);
    const [row] = await access.sql<{ id: string }[]>`
      select marketplace.register_integration(
        ${input.slug}, ${input.name}, ${input.provider},
        coalesce(${input.category ?? null}, (
          select p.category from marketplace.providers as p where p.slug = ${input.provider}
        ), 'other'),
        ${toJsonText(input.config)}::text::jsonb, ${organization}
      ) as id
    `;
    return { integration: input.slug, integration_id: row!.id, organization };
  },
});

/** The slug of the organization that the caller wants, and may, change; null: the platform's. */
async function organizationToManage(
  access: Access,
  wanted: string | undefined,
): Promise<string | null> {
  if (access.kind === "service" && wanted === undefined) return null;
  const mine = access.key
    ? [access.key.organization_id]
    : access.user
    ? await administeredOrganizations(access)
    : null;
  const found = await access.sql<{ slug: string }[]>`
    select o.slug from marketplace.organizations as o
    where (${mine === null} or o.id = any(${mine ?? []}::uuid[]))
      and (${wanted === undefined} or ${wanted ?? null}::text in (o.slug, o.id::text))
    order by o.slug limit 2
  `;
  if (found.length === 1) return found[0]!.slug;
  throw found.length > 1
    ? new AppError("organization_ambiguous", 422, "Name one of your organizations.")
    : new AppError("forbidden", 403, "You administer no such organization.");
}

/**
 * What only the platform's operator decides: what exists already (its accounts' tokens would follow
 * a changed api_base), what belongs to the platform, and what it is trusted with.
 */
async function refusePlatformMatters(
  access: Access,
  organization: string | null,
  { slug, config }: { slug: string; config: Record<string, unknown> },
): Promise<void> {
  const [row] = await access.sql<{ is_default: boolean; exists: boolean }[]>`
    select
      exists (select from marketplace.integrations as i where i.slug = ${slug}) as exists,
      exists (
        select from marketplace.organizations as o where o.slug = ${organization} and o.is_default
      ) as is_default
  `;
  const setting = PLATFORM_SETTINGS.find((name) => name in config);
  if (row!.exists) {
    throw new AppError("conflict", 409, `Integration ${slug} exists already: choose another slug.`);
  }
  if (row!.is_default || setting) {
    throw new AppError(
      "forbidden",
      403,
      setting
        ? `config.${setting} is for the platform's operator to set.`
        : "The platform's own integrations are registered with the service key.",
    );
  }
}

/** The tools of the control plane that a caller may use. */
export async function controlTools(access: Access): Promise<ControlTool[]> {
  const isAdmin = access.kind === "user"
    ? (await administeredOrganizations(access)).length > 0
    : access.can("admin");
  return CONTROL_TOOLS.filter(({ needs }) => {
    if (needs === "service") return access.kind === "service";
    return needs === "admin" ? isAdmin : access.can(needs);
  });
}

const CONTROL_TOOLS = [
  listIntegrations,
  recentSyncs,
  trace,
  deadLetters,
  alerts,
  replayJob,
  registerIntegration,
];
