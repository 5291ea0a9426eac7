/** For tests of executions: tenants, their connections, and a provider that behaves in any way. */
import { SignJWT } from "jose";
import type postgres from "postgres";
import { FUNCTIONS_URL, stackEnv } from "./support_queue.ts";

/** Service key of the stack. */
export const SERVICE = stackEnv("SUPABASE_SECRET_KEY");

/** One request that reached the provider. */
export interface Received {
  method: string;
  /** Path and query. */
  url: string;
  headers: Headers;
  body: Uint8Array<ArrayBuffer>;
}

type Behaviour = (request: Received) => Response | Promise<Response>;

/** A provider on a free port. It answers `{ok: true}` unless told otherwise. */
export class FakeProvider {
  readonly received: Received[] = [];
  #behaviour: Behaviour = () => Response.json({ ok: true });
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async (request) => {
        const url = new URL(request.url);
        const received = {
          method: request.method,
          url: url.pathname + url.search,
          headers: request.headers,
          body: new Uint8Array(await request.arrayBuffer()),
        };
        this.received.push(received);
        return await this.#behaviour(received);
      },
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Answers in this way from now on. */
  answer(behaviour: Behaviour): void {
    this.#behaviour = behaviour;
  }

  /** Forgets what it received, and answers as at first. */
  reset(): void {
    this.received.length = 0;
    this.#behaviour = () => Response.json({ ok: true });
  }

  /** Requests to a path. */
  at(path: string): Received[] {
    return this.received.filter(({ url }) => url.split("?")[0] === path);
  }

  async stop(): Promise<void> {
    await this.#server.shutdown();
  }
}

/** Gives a test file a provider; after its last test it is stopped, and the tenants are removed. */
export function useProvider(sql: postgres.Sql): FakeProvider {
  const provider = new FakeProvider();
  Deno.test.afterAll(async () => {
    await provider.stop();
    const organizations = made.map(({ organizationId }) => organizationId);
    const providers = made.map((tenant) => tenant.provider);
    await sql`delete from marketplace.connections where organization_id = any (${organizations})`;
    await sql`delete from marketplace.integrations where organization_id = any (${organizations})`;
    await sql`delete from marketplace.providers where slug = any (${providers})`;
    await sql`delete from marketplace.organizations where id = any (${organizations})`;
  });
  return provider;
}

const made: Tenant[] = [];

/** What marketplace-execute answered. */
export interface Answer {
  status: number;
  headers: Headers;
  // deno-lint-ignore no-explicit-any
  body: any;
}

/** Posts to marketplace-execute. */
export async function execute(
  token: string | null,
  body: unknown,
  { path = "", headers = {} }: { path?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const response = await fetch(`${FUNCTIONS_URL}/marketplace-execute${path}`, {
    method: "POST",
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      "content-type": "application/json",
      ...headers,
    },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: JSON.parse(text) };
}

/** A user with a session. */
export interface User {
  id: string;
  token: string;
}

/** A user's session, signed as this project's Auth signs it. */
export async function signIn(id: string = crypto.randomUUID()): Promise<User> {
  const token = await new SignJWT({ role: "authenticated" })
    .setProtectedHeader({ alg: "HS256" }).setSubject(id).setAudience("authenticated")
    .setIssuedAt().setExpirationTime("1h")
    .sign(new TextEncoder().encode(stackEnv("SUPABASE_JWT_SECRET")));
  return { id, token };
}

/** An organization with its people, and an integration at the fake provider. */
export interface Tenant {
  organizationId: string;
  slug: string;
  owner: User;
  member: User;
  viewer: User;
  integration: string;
  integrationId: string;
  provider: string;
}

/** The actions of {@link makeTenant}'s provider; each may be changed or left as it is. */
const ACTIONS: Record<string, Record<string, string | boolean | number | string[]>> = {
  "things.list": { method: "GET", path: "/things", body_type: "none", is_read_only: true },
  "things.get": {
    method: "GET",
    path: "/things/{id}",
    body_type: "none",
    is_read_only: true,
    request_schema: JSON.stringify({
      type: "object",
      required: ["id"],
      properties: { id: { type: "string", minLength: 1 } },
      additionalProperties: false,
    }),
  },
  "things.create": {
    method: "POST",
    path: "/things",
    sensitive_paths: ["/secret_note", "/items/*/pin"],
  },
  "things.replace": { method: "PUT", path: "/things", is_idempotent: true },
  "things.keyed": { method: "POST", path: "/things", idempotency_header: "idempotency-key" },
  "files.get": {
    method: "GET",
    path: "/files",
    body_type: "none",
    response_type: "binary",
    is_read_only: true,
  },
  "files.upload": {
    method: "POST",
    path: "/files",
    body_type: "multipart",
    sensitive_paths: ["/file/data"],
  },
  "files.put": { method: "PUT", path: "/files", body_type: "binary" },
};

/**
 * Makes a tenant whose provider is at the given URL.
 *
 * @param row columns of the provider
 * @param config of the integration
 */
export async function makeTenant(
  sql: postgres.Sql,
  url: string,
  { row = {}, config = {}, actions = {} }: {
    row?: Record<string, unknown>;
    config?: Record<string, unknown>;
    actions?: Record<string, Record<string, string | boolean | number | string[]>>;
  } = {},
): Promise<Tenant> {
  const run = crypto.randomUUID().slice(0, 8);
  const slug = `execute-test-${run}`;
  const provider = `execute_test_${run}`;
  const [organization] = await sql<[{ id: string }]>`
    insert into marketplace.organizations (slug, name) values (${slug}, ${`Tenant ${run}`})
    returning id
  `;
  const [owner, member, viewer] = await Promise.all([signIn(), signIn(), signIn()]);
  for (const [user, role] of [[owner, "owner"], [member, "member"], [viewer, "viewer"]] as const) {
    await sql`select marketplace.add_member(${slug}, ${user.id}, ${role})`;
  }
  await sql`
    select marketplace.register_provider(
      ${provider}, 'Acme', 'storage', ${url}, 'bearer',
      p_auth_config => '{"secrets": {"api_token": {"title": "Token"}}}',
      p_rate_limit => ${JSON.stringify(row.rate_limit ?? {})}::text::jsonb,
      p_response_errors => ${JSON.stringify(row.response_errors ?? {})}::text::jsonb
    )
  `;
  for (const [name, columns] of Object.entries({ ...ACTIONS, ...actions })) {
    const { request_schema = '{"type": "object"}', pagination = "{}", ...rest } = columns;
    await sql`
      insert into marketplace.actions ${sql({ provider_slug: provider, slug: name, name, ...rest })}
    `;
    await sql`
      update marketplace.actions
      set request_schema = ${request_schema as string}::text::jsonb,
        pagination = ${pagination as string}::text::jsonb
      where provider_slug = ${provider} and slug = ${name}
    `;
  }
  const integrationId = await register(sql, {
    slug: `${slug}-acme`,
    provider,
    organization: slug,
    config: { allow_private_network: true, ...config },
  });
  const tenant = {
    organizationId: organization.id,
    slug,
    owner,
    member,
    viewer,
    integration: `${slug}-acme`,
    integrationId,
    provider,
  };
  made.push(tenant);
  return tenant;
}

/** Registers an integration; returns its id. */
export async function register(
  sql: postgres.Sql,
  { slug, provider, organization, config, secrets = {} }: {
    slug: string;
    provider: string;
    organization: string | null;
    config: Record<string, unknown>;
    secrets?: Record<string, string>;
  },
): Promise<string> {
  const [row] = await sql<[{ id: string }]>`
    select marketplace.register_integration(
      ${slug}, ${slug}, ${provider}, 'storage', ${
    JSON.stringify(config)
  }::text::jsonb, ${organization}
    ) as id
  `;
  for (const [purpose, secret] of Object.entries(secrets)) {
    await sql`select marketplace.set_integration_secret(${slug}, ${purpose}, ${secret})`;
  }
  return row.id;
}

/** Connects an account; returns the connection's id. */
export async function connect(
  sql: postgres.Sql,
  tenant: Pick<Tenant, "slug" | "integration">,
  { user, isShared = false, type = "bearer", credential = { api_token: "acme-token" }, settings }: {
    /** Its owner; the organization's when absent. */
    user?: User;
    isShared?: boolean;
    type?: string;
    credential?: Record<string, string>;
    settings?: Record<string, string | number>;
  } = {},
): Promise<string> {
  const { access_token = null, ...rest } = credential;
  const [row] = await sql<[{ id: string }]>`
    select marketplace.create_connection(
      ${tenant.integration}, 'A connection', ${tenant.slug}, ${user?.id ?? null}, ${isShared},
      false, ${JSON.stringify(settings ?? {})}::text::jsonb
    ) as id
  `;
  await sql`
    select marketplace.open_grant(
      ${row.id}, ${type}, ${JSON.stringify(rest)}, p_access_token => ${access_token}
    )
  `;
  return row.id;
}

/** Makes an API key. */
export async function makeKey(
  sql: postgres.Sql,
  { slug }: Pick<Tenant, "slug">,
  { scopes = ["execute"], actions = [] }: { scopes?: string[]; actions?: string[] } = {},
): Promise<{ id: string; key: string }> {
  const [row] = await sql<[{ id: string; key: string }]>`
    select key_id as id, api_key as key
    from marketplace.create_api_key('Test', ${slug}, ${scopes}::text[], ${actions}::text[])
  `;
  return row;
}

/** A row of `execution_logs`. */
export interface LogRow {
  id: string;
  integration_id: string | null;
  connection_id: string | null;
  caller: string;
  user_id: string | null;
  api_key_id: string | null;
  correlation_id: string;
  action: string;
  outcome: string;
  status_code: number | null;
  attempt_count: number;
  duration_ms: string | null;
  error_code: string | null;
  error_message: string | null;
  // deno-lint-ignore no-explicit-any
  request: any;
  // deno-lint-ignore no-explicit-any
  response: any;
}

/** The log of an organization, oldest first. */
export async function logOf(
  sql: postgres.Sql,
  { organizationId }: Pick<Tenant, "organizationId">,
): Promise<LogRow[]> {
  return await sql<LogRow[]>`
    select id, integration_id, connection_id, caller, user_id, api_key_id, correlation_id, action,
      outcome, status_code, attempt_count, duration_ms, error_code, error_message, request, response
    from marketplace.execution_logs where organization_id = ${organizationId} order by id
  `;
}

/** Quota rows of an integration by name. */
export async function quotasOf(
  sql: postgres.Sql,
  { integrationId }: Pick<Tenant, "integrationId">,
): Promise<
  Record<string, { used: number; reserved: number; limit: number; connection_id: string | null }>
> {
  const rows = await sql`
    select name, connection_id, used_count, reserved_count, limit_count
    from marketplace.api_quotas where integration_id = ${integrationId}
  `;
  return Object.fromEntries(rows.map((row) => [row.name, {
    used: Number(row.used_count),
    reserved: Number(row.reserved_count),
    limit: Number(row.limit_count),
    connection_id: row.connection_id,
  }]));
}
