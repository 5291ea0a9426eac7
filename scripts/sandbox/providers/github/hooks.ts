import { createHmac } from "node:crypto";
import { type Context, Hono } from "hono";
import { z } from "zod";
import { FixtureError } from "../../core/fixtures.ts";
import { isLoopback, type PushResult } from "../../core/pushes.ts";
import type { ObservedEnv, ProviderPart, Sandbox } from "../../core/provider.ts";
import { baseUrl, bearerToken } from "../../core/requests.ts";
import { GITHUB_USER, type Repositories, type Repository } from "./repositories.ts";
import { clamp, GitHubError, invalid, paginate, readBody, time } from "./responses.ts";

/** Something that happens, as `POST /_control/github/events` takes it. */
export const GitHubEventFixture = z.strictObject({
  owner: z.string().min(1).default("octo-org"),
  repo: z.string().min(1).default("octo-repo"),
  /** `X-GitHub-Event`. */
  event: z.string().min(1),
  payload: z.record(z.string(), z.unknown()),
});
/** The input form of {@linkcode GitHubEventFixture}. */
export type GitHubEventFixture = z.input<typeof GitHubEventFixture>;

/** A hook as an assertion sees it. */
export interface GitHubHookInfo {
  id: number;
  /** `owner/repo`, or `owner` for an organization's. */
  target: string;
  url: string;
  events: string[];
  active: boolean;
  /** Whether deliveries are signed. */
  has_secret: boolean;
  /** How many deliveries there have been, repetitions included. */
  delivery_count: number;
}

interface Delivery {
  id: number;
  guid: string;
  event: string;
  payload: Record<string, unknown>;
  headers: Record<string, string>;
  repository: Repository | undefined;
  isRepeated: boolean;
  deliveredAt: number;
  result: PushResult | undefined;
}

interface Hook {
  id: number;
  /** `owner/repo`, or `owner` for an organization's. */
  target: string;
  active: boolean;
  events: string[];
  url: string;
  contentType: "json" | "form";
  insecureSsl: "0" | "1";
  secret: string | undefined;
  createdAt: number;
  updatedAt: number;
  /** Latest last. */
  deliveries: Delivery[];
}

const Config = z.object({
  url: z.string(),
  content_type: z.enum(["json", "form"]),
  insecure_ssl: z.union([z.string(), z.number()]).transform((value) =>
    value === 1 || value === "1"
  ),
  secret: z.string(),
}).partial();
const Changes = z.object({
  name: z.string().optional(),
  config: Config.optional(),
  events: z.array(z.string()).optional(),
  add_events: z.array(z.string()).optional(),
  remove_events: z.array(z.string()).optional(),
  active: z.boolean().optional(),
});

/** GitHub forgets deliveries after three days. */
const KEPT_MS = 3 * 24 * 60 * 60 * 1000;

/**
 * Webhooks of repositories and organizations, and what became of their deliveries. GitHub delivers
 * once and never tries again by itself: whoever missed a delivery asks for it.
 *
 * GitHub takes public addresses only; the sandbox takes those of this machine only.
 *
 * @see https://docs.github.com/en/rest/repos/webhooks
 * @see https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries
 */
export function createHooks(
  sandbox: Sandbox,
  repositories: Repositories,
  mountedAt: string,
): ProviderPart {
  const hooks = new Map<number, Hook>();
  const app = new Hono<ObservedEnv>();

  for (const at of ["/repos/:owner/:repo/hooks", "/orgs/:owner/hooks"]) {
    app.get(at, (c) => {
      const target = targetOf(c);
      const own = [...hooks.values()].filter((hook) => hook.target === target);
      return c.json(paginate(c, own).map((hook) => describe(c, hook)));
    });

    app.post(at, async (c) => {
      const target = targetOf(c);
      const { name = "web", config = {}, ...wanted } = await readBody(c, Changes);
      if (name !== "web") throw invalid({ resource: "Hook", code: "invalid", field: "name" });
      checkUrl(config.url);
      const hook: Hook = {
        id: repositories.newId(),
        target,
        active: wanted.active ?? true,
        events: wanted.events ?? ["push"],
        url: config.url!,
        contentType: config.content_type ?? "form",
        insecureSsl: config.insecure_ssl ? "1" : "0",
        secret: config.secret || undefined,
        createdAt: sandbox.clock.now(),
        updatedAt: sandbox.clock.now(),
        deliveries: [],
      };
      const isKnown = [...hooks.values()].some((each) =>
        each.target === target && each.url === hook.url &&
        each.events.toSorted().join() === hook.events.toSorted().join()
      );
      if (isKnown) {
        const kind = target.includes("/") ? "repository" : "organization";
        const message = `Hook already exists on this ${kind}`;
        throw invalid({ resource: "Hook", code: "custom", message });
      }
      hooks.set(hook.id, hook);
      ping(c, hook);
      return c.json(describe(c, hook), 201);
    });

    app.get(`${at}/:id`, (c) => c.json(describe(c, find(c))));

    app.patch(`${at}/:id`, async (c) => {
      const hook = find(c);
      const wanted = await readBody(c, Changes);
      if (wanted.config) {
        checkUrl(wanted.config.url ?? hook.url);
        // A config is replaced whole: a secret that is not given again is gone.
        hook.secret = wanted.config.secret || undefined;
        configure(hook, wanted.config);
      }
      const events = new Set([...wanted.events ?? hook.events, ...wanted.add_events ?? []]);
      for (const event of wanted.remove_events ?? []) events.delete(event);
      hook.events = [...events];
      hook.active = wanted.active ?? hook.active;
      hook.updatedAt = sandbox.clock.now();
      return c.json(describe(c, hook));
    });

    app.get(`${at}/:id/config`, (c) => c.json(describeConfig(find(c))));

    app.patch(`${at}/:id/config`, async (c) => {
      const hook = find(c);
      const config = await readBody(c, Config);
      if (config.url !== undefined) checkUrl(config.url);
      configure(hook, config);
      hook.secret = config.secret ?? hook.secret;
      hook.updatedAt = sandbox.clock.now();
      return c.json(describeConfig(hook));
    });

    app.delete(`${at}/:id`, (c) => {
      hooks.delete(find(c).id);
      return c.body(null, 204);
    });

    app.post(`${at}/:id/pings`, (c) => {
      ping(c, find(c));
      return c.body(null, 204);
    });

    app.get(`${at}/:id/deliveries`, (c) => {
      const hook = find(c);
      const perPage = clamp(c.req.query("per_page"), 30, 100);
      const cursor = c.req.query("cursor");
      if (cursor !== undefined && !/^v1_\d+$/.test(cursor)) {
        throw new GitHubError(422, "Invalid cursor");
      }
      const before = cursor === undefined ? Infinity : Number(cursor.slice("v1_".length));
      const found = kept(hook).filter(({ id }) => id <= before).reverse();
      const next = found[perPage];
      if (next) {
        const target = new URL(c.req.url);
        target.searchParams.set("cursor", `v1_${next.id}`);
        c.header("link", `<${target}>; rel="next"`);
      }
      return c.json(found.slice(0, perPage).map((delivery) => describeDelivery(delivery)));
    });

    app.get(`${at}/:id/deliveries/:delivery`, (c) => {
      const hook = find(c);
      const delivery = findDelivery(c, hook);
      const { result } = delivery;
      return c.json({
        ...describeDelivery(delivery),
        url: hook.url,
        request: { headers: delivery.headers, payload: delivery.payload },
        response: { headers: result?.headers ?? {}, payload: result?.body ?? null },
      });
    });

    app.post(`${at}/:id/deliveries/:delivery/attempts`, (c) => {
      const hook = find(c);
      const { guid, event, payload, repository } = findDelivery(c, hook);
      void deliver(hook, { guid, event, payload, repository, isRepeated: true });
      return c.json({}, 202);
    });
  }

  /** @throws GitHubError 401, 404 */
  function targetOf(c: Context): string {
    if (c.req.param("repo") !== undefined) {
      const { owner, name } = repositories.findForWriting(c);
      return `${owner}/${name}`;
    }
    if (!bearerToken(c)) throw new GitHubError(401, "Requires authentication");
    return c.req.param("owner")!;
  }

  /** @throws GitHubError */
  function find(c: Context): Hook {
    const target = targetOf(c);
    const hook = hooks.get(Number(c.req.param("id")));
    if (hook?.target === target) return hook;
    throw new GitHubError(404, "Not Found");
  }

  function kept({ deliveries }: Hook): Delivery[] {
    return deliveries.filter(({ deliveredAt }) => deliveredAt > sandbox.clock.now() - KEPT_MS);
  }

  /** @throws GitHubError 404 */
  function findDelivery(c: Context, hook: Hook): Delivery {
    const delivery = kept(hook).find(({ id }) => id === Number(c.req.param("delivery")));
    if (delivery) return delivery;
    throw new GitHubError(404, "Not Found");
  }

  function ping(c: Context, hook: Hook): void {
    const [owner = "", repo] = hook.target.split("/");
    const repository = repo === undefined ? undefined : repositories.get(owner, repo);
    const payload = {
      zen: "Practicality beats purity.",
      hook_id: hook.id,
      hook: describe(c, hook),
      ...(repository
        ? { repository: describeRepository(repository) }
        : { organization: { login: owner } }),
      sender: { login: GITHUB_USER.login, id: GITHUB_USER.id, type: GITHUB_USER.type },
    };
    void deliver(hook, { guid: crypto.randomUUID(), event: "ping", payload, repository });
  }

  async function deliver(
    hook: Hook,
    { guid, event, payload, repository, isRepeated = false }: {
      guid: string;
      event: string;
      payload: Record<string, unknown>;
      repository: Repository | undefined;
      isRepeated?: boolean;
    },
  ): Promise<void> {
    const json = JSON.stringify(payload);
    const isForm = hook.contentType === "form";
    const body = isForm ? new URLSearchParams({ payload: json }).toString() : json;
    const isRepository = hook.target.includes("/");
    const target = isRepository ? repository?.id ?? 0 : 1;
    const headers: Record<string, string> = {
      accept: "*/*",
      "content-type": isForm ? "application/x-www-form-urlencoded" : "application/json",
      "user-agent": "GitHub-Hookshot/sandbox",
      "x-github-delivery": guid,
      "x-github-event": event,
      "x-github-hook-id": String(hook.id),
      "x-github-hook-installation-target-id": String(target),
      "x-github-hook-installation-target-type": isRepository ? "repository" : "organization",
    };
    for (const [name, algorithm] of Object.entries(hook.secret ? SIGNATURES : {})) {
      const digest = createHmac(algorithm, hook.secret!).update(body).digest("hex");
      headers[name] = `${algorithm}=${digest}`;
    }
    const result = await sandbox.pushes.send({
      provider: "github",
      url: hook.url,
      headers,
      body,
      retryOn: () => false,
    });
    // It is told of when it has ended: its id grows with its place in the list.
    hook.deliveries.push({
      id: repositories.newId(),
      guid,
      event,
      payload,
      headers,
      repository,
      isRepeated,
      deliveredAt: sandbox.clock.now(),
      result,
    });
  }

  function describe(c: Context, hook: Hook): Record<string, unknown> {
    const isRepository = hook.target.includes("/");
    const scope = isRepository ? `repos/${hook.target}` : `orgs/${hook.target}`;
    const url = `${baseUrl(c, mountedAt)}/${scope}/hooks/${hook.id}`;
    const last = hook.deliveries.at(-1);
    return {
      type: isRepository ? "Repository" : "Organization",
      id: hook.id,
      name: "web",
      active: hook.active,
      events: hook.events,
      config: describeConfig(hook),
      updated_at: time(hook.updatedAt),
      created_at: time(hook.createdAt),
      url,
      ping_url: `${url}/pings`,
      deliveries_url: `${url}/deliveries`,
      ...(isRepository && { test_url: `${url}/test` }),
      last_response: last?.result
        ? { code: last.result.status, status: statusOf(last), message: statusOf(last) }
        : { code: null, status: "unused", message: null },
    };
  }

  const control = new Hono();
  control.post("/github/events", async (c) => {
    const { owner, repo, event, payload } = GitHubEventFixture.parse(await c.req.json());
    const repository = repositories.get(owner, repo);
    if (!repository) {
      throw new FixtureError(`There is no repository ${owner}/${repo}; create it first.`);
    }
    const guid = crypto.randomUUID();
    const targets = [`${repository.owner}/${repository.name}`, repository.owner];
    const told = [...hooks.values()].filter((hook) =>
      hook.active && targets.includes(hook.target) &&
      (hook.events.includes(event) || hook.events.includes("*"))
    );
    const whole = { ...payload, repository: payload.repository ?? describeRepository(repository) };
    for (const hook of told) void deliver(hook, { guid, event, payload: whole, repository });
    return c.json({ guid, hooks: told.map(({ id }) => id) }, 202);
  });
  control.get("/github/hooks", (c) => {
    const listed = [...hooks.values()].map((hook): GitHubHookInfo => ({
      id: hook.id,
      target: hook.target,
      url: hook.url,
      events: hook.events,
      active: hook.active,
      has_secret: hook.secret !== undefined,
      delivery_count: hook.deliveries.length,
    }));
    return c.json({ hooks: listed });
  });

  return { app, control, reset: () => hooks.clear() };
}

const SIGNATURES = { "x-hub-signature": "sha1", "x-hub-signature-256": "sha256" };

/** @throws GitHubError 422 */
function checkUrl(url: string | undefined): void {
  const refuse = (message: string) => invalid({ resource: "Hook", code: "custom", message });
  if (!url) throw refuse("url cannot be blank");
  if (!/^https?:\/\//.test(url)) throw refuse("url is missing a scheme");
  if (isLoopback(url)) return;
  const host = URL.canParse(url) ? new URL(url).hostname : url;
  throw refuse(`url is not supported because the sandbox reaches this machine only (${host})`);
}

function configure(hook: Hook, config: z.output<typeof Config>): void {
  hook.url = config.url ?? hook.url;
  hook.contentType = config.content_type ?? hook.contentType;
  if (config.insecure_ssl !== undefined) hook.insecureSsl = config.insecure_ssl ? "1" : "0";
}

function describeConfig(hook: Hook): Record<string, unknown> {
  return {
    content_type: hook.contentType,
    insecure_ssl: hook.insecureSsl,
    ...(hook.secret !== undefined && { secret: "********" }),
    url: hook.url,
  };
}

function describeRepository({ id, owner, name, private: isPrivate }: Repository) {
  return {
    id,
    name,
    full_name: `${owner}/${name}`,
    private: isPrivate,
    owner: { login: owner, type: "Organization" },
    html_url: `https://github.com/${owner}/${name}`,
  };
}

function describeDelivery(delivery: Delivery): Record<string, unknown> {
  const { id, guid, event, payload, repository, result } = delivery;
  return {
    id,
    guid,
    delivered_at: new Date(delivery.deliveredAt).toISOString(),
    redelivery: delivery.isRepeated,
    duration: (result?.durationMs ?? 0) / 1000,
    status: statusOf(delivery),
    // GitHub tells a connection that failed as a bad gateway.
    status_code: result?.status ?? 502,
    event,
    action: typeof payload.action === "string" ? payload.action : null,
    installation_id: null,
    repository_id: repository?.id ?? null,
    throttled_at: null,
  };
}

function statusOf({ result }: Delivery): string {
  if (!result) return "failed to connect to host";
  return result.status >= 200 && result.status < 300
    ? "OK"
    : `Invalid HTTP Response: ${result.status}`;
}
