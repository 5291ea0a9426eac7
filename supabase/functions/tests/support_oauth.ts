/** For tests of connections: a real authorization server, a browser, users, and what they connect. */
import type { Server } from "node:http";
import Provider from "oidc-provider";
import type postgres from "postgres";
import { FUNCTIONS_URL, stackEnv } from "./support_queue.ts";

const REDIRECT_URI = `${FUNCTIONS_URL}/marketplace-oauth/callback`;
export const CLIENT = { id: "marketplace-client", secret: `client-secret-${crypto.randomUUID()}` };

/** What is used of Koa's context. */
interface Ctx {
  path: string;
  status: number;
  body: unknown;
  get(header: string): string;
  oidc?: { params?: Record<string, string> };
}

/** One request that reached the token endpoint. */
export interface TokenRequest {
  grant_type: string;
  status: number;
  body: Record<string, unknown>;
  at: number;
}

/** oidc-provider on a free port: PKCE required, refresh tokens rotated, reuse detected. */
export class AuthorizationServer {
  readonly requests: TokenRequest[] = [];
  /** Access and refresh tokens, codes and secrets it has seen; what must lie nowhere. */
  readonly secrets = new Set<string>([CLIENT.secret]);
  /** Seconds that access tokens live. */
  tokenLifetime = 3600;
  /** Milliseconds that the token endpoint takes. */
  delay = 0;
  /** Status that the token endpoint answers instead; 0: none. */
  failure = 0;
  /** Bearers that `/me` refuses. */
  readonly refused = new Set<string>();
  readonly #provider: Provider;
  readonly #server: Server;

  private constructor(readonly url: string, server: Server) {
    this.#server = server;
    this.#provider = new Provider(url, {
      clients: [{
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        redirect_uris: [REDIRECT_URI],
        grant_types: ["authorization_code", "refresh_token", "client_credentials"],
        token_endpoint_auth_method: "client_secret_post",
      }],
      clientAuthMethods: ["client_secret_post"],
      scopes: ["openid", "email", "offline_access", "files"],
      claims: { openid: ["sub"], email: ["email"] },
      conformIdTokenClaims: false,
      cookies: { keys: [crypto.randomUUID()] },
      features: {
        devInteractions: { enabled: true },
        clientCredentials: { enabled: true },
        revocation: { enabled: true },
      },
      findAccount: (_ctx: unknown, sub: string) => ({
        accountId: sub,
        claims: () => ({ sub, email: `${sub}@example.com` }),
      }),
      issueRefreshToken: () => true,
      rotateRefreshToken: true,
      pkce: { required: () => true },
      ttl: {
        AccessToken: () => this.tokenLifetime,
        ClientCredentials: () => this.tokenLifetime,
        AuthorizationCode: 60,
        Grant: 86_400,
        IdToken: 3600,
        Interaction: 3600,
        RefreshToken: 86_400,
        Session: 86_400,
      },
    });
    this.#provider.use((ctx: Ctx, next: () => Promise<void>) => this.#watch(ctx, next));
    server.on("request", this.#provider.callback());
  }

  static async start(): Promise<AuthorizationServer> {
    const { createServer } = await import("node:http");
    const server = createServer();
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const { port } = server.address() as { port: number };
    return new AuthorizationServer(`http://127.0.0.1:${port}`, server);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }

  /** Requests of a grant type that went well. */
  granted(grantType: string): TokenRequest[] {
    return this.requests.filter((r) => r.grant_type === grantType && r.status === 200);
  }

  /** Takes a refresh token back, as a user does in his account's settings. */
  async withdraw(refreshToken: string): Promise<void> {
    await (await this.#provider.RefreshToken.find(refreshToken))?.destroy();
  }

  /** Whether an access token is still good. */
  async knows(accessToken: string): Promise<boolean> {
    return await this.#provider.AccessToken.find(accessToken) !== undefined;
  }

  async #watch(ctx: Ctx, next: () => Promise<void>): Promise<void> {
    if (ctx.path === "/me" && this.refused.has(ctx.get("authorization").slice(7))) {
      ctx.status = 401;
      ctx.body = { error: "invalid_token" };
      return;
    }
    if (ctx.path !== "/token") return await next();
    if (this.delay > 0) await new Promise((done) => setTimeout(done, this.delay));
    if (this.failure > 0) {
      ctx.status = this.failure;
      ctx.body = { error: "temporarily_unavailable" };
    } else await next();
    const body = (ctx.body ?? {}) as Record<string, unknown>;
    const parameters = (ctx.oidc?.params ?? {}) as Record<string, string>;
    for (const name of ["access_token", "refresh_token", "id_token"]) {
      if (typeof body[name] === "string") this.secrets.add(body[name]);
    }
    for (const name of ["code", "code_verifier", "refresh_token"]) {
      if (parameters[name]) this.secrets.add(parameters[name]);
    }
    this.requests.push({
      grant_type: parameters.grant_type ?? "",
      status: ctx.status,
      body,
      at: performance.now(),
    });
  }
}

/** A browser without scripts: cookies, redirects, links and forms. */
export class Browser {
  readonly #cookies = new Map<string, { value: string; path: string }>();
  /** Every URL it has been at, last one last. */
  readonly visited: string[] = [];

  async get(url: string): Promise<Response> {
    return await this.#send(url, { method: "GET" });
  }

  async post(url: string, form: Record<string, string>): Promise<Response> {
    return await this.#send(url, { method: "POST", body: new URLSearchParams(form) });
  }

  /** Follows redirects, and says yes to every form of the authorization server. */
  async consent(start: string, user: string): Promise<Response> {
    let response = await this.get(start);
    for (let step = 0; step < 20; step++) {
      const location = response.headers.get("location");
      if (location) {
        await response.body?.cancel();
        response = await this.get(new URL(location, response.url).href);
        continue;
      }
      const here = response.url;
      if (!/\/interaction\//.test(here)) return response;
      const html = await response.text();
      const prompt = /name="prompt" value="(\w+)"/.exec(html)?.[1] ?? "";
      const action = /action="([^"]+)"/.exec(html)?.[1] ?? here;
      response = await this.post(new URL(action, here).href, {
        prompt,
        ...(prompt === "login" ? { login: user, password: "any" } : {}),
      });
    }
    throw new Error(`the browser goes round in circles: ${this.visited.slice(-5).join(" ")}`);
  }

  /** Follows redirects until somebody says no for it: the URL back to us with an error. */
  async refuse(start: string): Promise<Response> {
    let response = await this.get(start);
    while (response.headers.has("location") && !/\/interaction\//.test(response.url)) {
      await response.body?.cancel();
      response = await this.get(new URL(response.headers.get("location")!, response.url).href);
    }
    await response.body?.cancel();
    response = await this.get(`${response.url}/abort`);
    while (response.headers.has("location")) {
      await response.body?.cancel();
      response = await this.get(new URL(response.headers.get("location")!, response.url).href);
    }
    return response;
  }

  async #send(url: string, init: RequestInit): Promise<Response> {
    this.visited.push(url);
    const { pathname } = new URL(url);
    const cookie = [...this.#cookies].filter(([, { path }]) => pathname.startsWith(path))
      .map(([name, { value }]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, {
      ...init,
      redirect: "manual",
      headers: {
        accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        ...(cookie ? { cookie } : {}),
      },
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!;
      const path = /;\s*path=([^;]+)/i.exec(line)?.[1] ?? "/";
      if (value === "" || /expires=Thu, 01 Jan 1970/i.test(line)) this.#cookies.delete(name!);
      else this.#cookies.set(name!, { value: value!, path });
    }
    return response;
  }
}

/** A signed-up user. */
export interface User {
  id: string;
  token: string;
}

/** Signs a user up, and in. */
export async function signUp(): Promise<User> {
  const response = await fetch(`${stackEnv("SUPABASE_URL")}/auth/v1/signup`, {
    method: "POST",
    headers: { apikey: stackEnv("SUPABASE_PUBLISHABLE_KEY"), "content-type": "application/json" },
    body: JSON.stringify({
      email: `${crypto.randomUUID()}@example.com`,
      password: crypto.randomUUID(),
    }),
  });
  const { access_token, user } = await response.json();
  return { id: user.id, token: access_token };
}

/** An answer of marketplace-oauth. */
export interface Answer {
  status: number;
  headers: Headers;
  // deno-lint-ignore no-explicit-any
  body: any;
}

/** Asks marketplace-oauth in somebody's name. */
export async function call(
  token: string | null,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer> {
  const response = await fetch(`${FUNCTIONS_URL}/marketplace-oauth${path}`, {
    method,
    redirect: "manual",
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  let parsed: unknown = text;
  try {
    parsed = JSON.parse(text);
  } catch {
    // A page.
  }
  return { status: response.status, headers: response.headers, body: parsed };
}

/** Service key of the stack. */
export const SERVICE = () => stackEnv("SUPABASE_SECRET_KEY");

/** An organization with members of each role, and an integration of an OAuth provider. */
export interface Tenant {
  organizationId: string;
  slug: string;
  owner: User;
  admin: User;
  member: User;
  viewer: User;
  stranger: User;
  /** Of the OAuth provider. */
  integration: string;
  integrationId: string;
  provider: string;
}

/** Makes a tenant whose provider is an authorization server. */
export async function makeTenant(
  sql: postgres.Sql,
  server: AuthorizationServer,
): Promise<Tenant> {
  const run = crypto.randomUUID().slice(0, 8);
  const slug = `oauth-test-${run}`;
  const provider = `oauth_test_${run}`;
  const [organization] = await sql`
    insert into marketplace.organizations (slug, name) values (${slug}, ${`Tenant ${run}`})
    returning id
  `;
  const [owner, admin, member, viewer, stranger] = await Promise.all(
    Array.from({ length: 5 }, signUp),
  ) as [User, User, User, User, User];
  for (const [user, role] of [[owner, "owner"], [admin, "admin"], [member, "member"]] as const) {
    await sql`select marketplace.add_member(${slug}, ${user.id}, ${role})`;
  }
  await sql`select marketplace.add_member(${slug}, ${viewer.id}, 'viewer')`;
  await sql`
    insert into marketplace.providers
      (slug, name, category, base_url, auth_type, auth_config, health_action)
    values (
      ${provider}, 'Acme Files', 'storage', ${server.url}, 'oauth2', ${
    JSON.stringify({
      authorize_url: `${server.url}/auth`,
      token_url: `${server.url}/token`,
      revoke_url: `${server.url}/token/revocation`,
      scopes: ["openid", "email", "offline_access", "files"],
      authorize_params: { prompt: "consent" },
      token_auth_method: "client_secret_post",
      grant_types: ["authorization_code", "refresh_token", "client_credentials"],
    })
  }::text::jsonb, 'me'
    )
  `;
  await sql`
    insert into marketplace.actions (provider_slug, slug, name, method, path, body_type, is_read_only)
    values (${provider}, 'me', 'Who am I', 'GET', '/me', 'none', true)
  `;
  const integrationId = await register(sql, `${slug}-files`, provider, slug, {
    client_id: CLIENT.id,
    client_secret: CLIENT.secret,
  });
  return {
    organizationId: organization!.id,
    slug,
    owner,
    admin,
    member,
    viewer,
    stranger,
    integration: `${slug}-files`,
    integrationId,
    provider,
  };
}

/** Registers an integration that may be reached on this machine, with its secrets. */
export async function register(
  sql: postgres.Sql,
  slug: string,
  provider: string,
  organization: string | null,
  secrets: Record<string, string> = {},
  config: Record<string, unknown> = {},
): Promise<string> {
  const [row] = await sql`
    select marketplace.register_integration(
      ${slug}, ${slug}, ${provider}, 'storage',
      ${JSON.stringify({ allow_private_network: true, ...config })}::text::jsonb, ${organization}
    ) as id
  `;
  for (const [purpose, secret] of Object.entries(secrets)) {
    await sql`select marketplace.set_integration_secret(${slug}, ${purpose}, ${secret})`;
  }
  return row!.id;
}

/** Removes a tenant and everything that belongs to it. */
export async function removeTenant(sql: postgres.Sql, tenant: Tenant): Promise<void> {
  await sql`delete from marketplace.connections where organization_id = ${tenant.organizationId}`;
  await sql`
    delete from marketplace.integrations
    where organization_id = ${tenant.organizationId} or provider = ${tenant.provider}
  `;
  await sql`delete from marketplace.providers where slug = ${tenant.provider}`;
  await sql`delete from marketplace.organizations where id = ${tenant.organizationId}`;
  const users = [tenant.owner, tenant.admin, tenant.member, tenant.viewer, tenant.stranger];
  await sql`delete from auth.users where id = any (${users.map(({ id }) => id)})`;
}

/** Connects a user's account by a link, all the way. */
export async function connect(
  tenant: Tenant,
  user: User,
  account = "somebody",
): Promise<{ id: string; browser: Browser }> {
  const link = await call(user.token, "POST", "/connect-links", {
    integration: tenant.integration,
  });
  const browser = new Browser();
  const page = await (await browser.post(link.body.url, {})).text();
  const response = await browser.consent(hrefOf(page), account);
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status} ${text}`);
  return { id: link.body.connection_id, browser };
}

/** Where a page's link leads. */
export function hrefOf(page: string): string {
  const href = /<a class="button" href="([^"]+)"/.exec(page)?.[1];
  if (!href) throw new Error(`no link on the page: ${page}`);
  return href.replace(/&#(\d+);/g, (_all, code) => String.fromCharCode(Number(code)));
}
