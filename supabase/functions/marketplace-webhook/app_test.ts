import { sign } from "@octokit/webhooks-methods";
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { backgroundIdle } from "../_shared/background.ts";
import { closeDb } from "../_shared/db.ts";
import { resetEnv } from "../_shared/env.ts";
import { createLogger } from "../_shared/logger.ts";
import { createWebhookApp, type WebhookAppOptions } from "./app.ts";
import { ConfigCache } from "./config_cache.ts";
import { databaseStore, type Store } from "./ingest.ts";
import { type RejectionCount, RejectionCounter } from "./rejections.ts";
import { AbuseLimiter, sourceOf } from "./abuse_limiter.ts";

const SECRET = "secret";

function logFrom(level: string) {
  Deno.env.set("MARKETPLACE_LOG_LEVEL", level);
  resetEnv();
}
logFrom("error");

const CONFIG = {
  integration_id: "0198c7de-9a3c-7c11-8a5b-1f2e3d4c5b6a",
  integration_slug: "github-actions",
  provider: "github",
  is_default: true,
  status: "active",
  version: 1,
  webhook_config: {
    verify: {
      family: "hmac",
      algorithm: "sha256",
      encoding: "hex",
      header: "x-hub-signature-256",
      prefix: "sha256=",
    },
    event: { dedupe: "{header:x-github-delivery}", type: "{header:x-github-event}" },
  },
  secret_env: null as string | null,
  max_body_bytes: 2_048,
  secrets: [{
    secret: SECRET as string | null,
    valid_from: "2026-01-01T00:00:00+00:00",
    valid_until: null,
  }],
};

/** A store that knows one integration and must not be asked to keep anything. */
function closedStore(config: unknown = CONFIG) {
  const counts: RejectionCount[] = [];
  const asked: string[] = [];
  const store: Store = {
    loadConfig: (provider, integration) => {
      asked.push(`${provider}/${integration ?? ""}`);
      return Promise.resolve(provider === "github" ? config : null);
    },
    ingest: () => assert.fail("a refused delivery reached the database"),
    countRejections: (rows) => Promise.resolve(void counts.push(...rows)),
    health: () => assert.fail("nobody asked"),
    acceptHookSecret: () => assert.fail("nobody asked"),
    offerSecret: () => assert.fail("nobody asked"),
    credentials: () => assert.fail("nobody asked"),
    notePush: () => assert.fail("nobody asked"),
    noteAccountPush: () => assert.fail("nobody asked"),
    noteConfirmation: () => assert.fail("nobody asked"),
  };
  return { store, counts, asked };
}

async function post(
  app: ReturnType<typeof createWebhookApp>,
  init: RequestInit = {},
  path = "github",
) {
  const response = await app.request(`/marketplace-webhook/${path}`, { method: "POST", ...init });
  const body = await response.text();
  return { status: response.status, headers: response.headers, code: codeOf(body), body };
}

function codeOf(body: string): string | undefined {
  try {
    return JSON.parse(body).error?.code;
  } catch {
    return undefined;
  }
}

async function signed(body: string, secret = SECRET): Promise<RequestInit> {
  return {
    body,
    headers: { "x-hub-signature-256": await sign(secret, body), "x-github-event": "push" },
  };
}

async function withApp(
  options: WebhookAppOptions,
  test: (app: ReturnType<typeof createWebhookApp>) => Promise<void>,
) {
  await test(createWebhookApp({ rejectionFlushMs: 50, ...options }));
  await backgroundIdle();
}

Deno.test("without a secret nothing is accepted, and the log says what to do", async () => {
  const lines: string[] = [];
  const warn = console.warn;
  console.warn = (line: string) => lines.push(line);
  logFrom("warn");
  try {
    const { store } = closedStore({ ...CONFIG, secrets: [] });
    await withApp({ store }, async (app) => {
      assert.equal((await post(app, await signed("{}", "any secret"))).code, "missing_secret");
      assert.equal((await post(app, { body: "{}" })).status, 401);
    });
  } finally {
    console.warn = warn;
    logFrom("error");
  }
  assert.match(lines.join("\n"), /set_integration_secret\('github-actions', 'webhook'/);
});

Deno.test("a secret of the environment is the default integration's only", async () => {
  const kept: unknown[] = [];
  const outcome = async (is_default: boolean) => {
    const { store } = closedStore({
      ...CONFIG,
      is_default,
      secrets: [],
      secret_env: "GITHUB_WEBHOOK_SECRET",
    });
    store.ingest = (rows) => {
      kept.push(rows);
      return Promise.resolve([{
        outcome: "stored",
        eventId: "e",
        correlationId: crypto.randomUUID(),
      }]);
    };
    let status = 0;
    const secretFromEnv = (name: string) =>
      name === "GITHUB_WEBHOOK_SECRET" ? "from env" : undefined;
    await withApp({ store, secretFromEnv }, async (app) => {
      status = (await post(app, await signed("{}", "from env"))).status;
    });
    return status;
  };
  assert.equal(await outcome(true), 200);
  assert.equal(await outcome(false), 401);
  assert.equal(kept.length, 1);
});

Deno.test("secrets count within their validity only", async () => {
  const now = Date.UTC(2026, 5, 1);
  const secret = (from: string, until: string | null) => ({
    ...CONFIG,
    secrets: [{ secret: SECRET, valid_from: from, valid_until: until }],
  });
  for (
    const config of [
      secret("2026-01-01T00:00:00Z", "2026-05-31T00:00:00Z"),
      secret("2026-06-02T00:00:00Z", null),
    ]
  ) {
    await withApp({ store: closedStore(config).store, now: () => now }, async (app) => {
      assert.equal((await post(app, await signed("{}"))).code, "missing_secret");
    });
  }
});

Deno.test("refusals echo neither payload, secret nor signature", async () => {
  await withApp({ store: closedStore().store }, async (app) => {
    const init = await signed('{"card":"4242"}', "wrong secret");
    const { body } = await post(app, init);
    for (
      const hidden of [
        "4242",
        "wrong secret",
        SECRET,
        new Headers(init.headers).get("x-hub-signature-256")!.slice(7),
      ]
    ) {
      assert.ok(!body.includes(`"${hidden}`) && !body.includes(hidden + '"'), body);
    }
  });
});

Deno.test("a body beyond the provider's cap is 413, whatever length was declared", async () => {
  await withApp({ store: closedStore().store }, async (app) => {
    assert.equal((await post(app, { body: "x".repeat(2_049) })).code, "payload_too_large");
    let pulled = 0;
    const endless = new ReadableStream({
      pull: (controller) => {
        pulled++;
        controller.enqueue(new Uint8Array(1_024));
      },
    });
    assert.equal((await post(app, { body: endless })).code, "payload_too_large");
    assert.ok(pulled < 10, `read on after the cap: ${pulled} chunks`);
  });
});

Deno.test("a slow body is cut off by time", async () => {
  const { store } = closedStore();
  await withApp({ store, bodyLimits: { totalMs: 100, idleMs: 1_000 } }, async (app) => {
    let timer: ReturnType<typeof setInterval>;
    const drip = new ReadableStream({
      start: (controller) =>
        void (timer = setInterval(() => controller.enqueue(new Uint8Array(1)), 10)),
      cancel: () => clearInterval(timer),
    });
    assert.equal((await post(app, { body: drip })).code, "body_timeout");
  });
  await withApp({ store, bodyLimits: { totalMs: 10_000, idleMs: 50 } }, async (app) => {
    const { status, code } = await post(app, { body: new ReadableStream({}) });
    assert.deepEqual([status, code], [408, "body_timeout"]);
  });
});

Deno.test("a body that breaks off is 400", async () => {
  await withApp({ store: closedStore().store }, async (app) => {
    const broken = new ReadableStream({
      pull: (controller) => controller.error(new Error("reset")),
    });
    assert.equal((await post(app, { body: broken })).code, "body_aborted");
  });
});

Deno.test("names no catalogue could hold are 404 without a query", async () => {
  const { store, asked } = closedStore();
  await withApp({ store }, async (app) => {
    for (
      const path of ["GitHub", "%00", "..%2fhealth", "github/UPPER", "github/a--b", "a".repeat(70)]
    ) {
      assert.equal((await post(app, {}, path)).status, 404, path);
    }
  });
  assert.deepEqual(asked, []);
});

Deno.test("a flood of invented paths costs a bounded number of queries", async () => {
  const { store, asked } = closedStore();
  const limiter = new AbuseLimiter({ size: { burst: 1e9, perSecond: 1 } });
  await withApp({ store, limiter, now: () => 0 }, async (app) => {
    const statuses = new Set<number>();
    for (let i = 0; i < 500; i++) statuses.add((await post(app, {}, `invented-${i}`)).status);
    assert.deepEqual([...statuses], [404, 429]);
  });
  assert.ok(asked.length <= 100, `${asked.length} queries`);
});

Deno.test("wrong signatures reload the settings once a second in the long run", async () => {
  const { store, asked } = closedStore();
  const limiter = new AbuseLimiter({ size: { burst: 1e9, perSecond: 1 } });
  let now = Date.UTC(2026, 5, 1);
  await withApp({ store, limiter, now: () => now }, async (app) => {
    for (let i = 0; i < 500; i++, now += 10) await post(app, await signed("{}", "wrong"));
  });
  assert.ok(asked.length > 5 && asked.length <= 11, `${asked.length} reloads in five seconds`);
});

Deno.test("many waiters for the same settings cost one query", async () => {
  const { store, asked } = closedStore();
  await withApp({ store }, async (app) => {
    await Promise.all(Array.from({ length: 20 }, () => post(app, { body: "{}" })));
  });
  assert.equal(asked.length, 1);
});

Deno.test("a delivery verified against older settings is verified again, once", async () => {
  let version = 1;
  let secret = SECRET;
  const { store } = closedStore();
  store.loadConfig = () =>
    Promise.resolve({ ...CONFIG, version, secrets: [{ ...CONFIG.secrets[0]!, secret }] });
  const versions: number[] = [];
  store.ingest = ([row]) => {
    versions.push(row!.version);
    const outcome = row!.version === version ? "stored" : "stale_config";
    return Promise.resolve([{ outcome, eventId: "e", correlationId: crypto.randomUUID() }]);
  };
  await withApp({ store }, async (app) => {
    assert.equal((await post(app, await signed("{}"))).status, 200);
    version = 2;
    assert.equal((await post(app, await signed("{}"))).status, 200);
    assert.deepEqual(versions, [1, 1, 2]);
    version = 3;
    secret = "rotated without overlap";
    assert.equal((await post(app, await signed("{}"))).code, "invalid_signature");
  });
});

Deno.test("a sender that is refused again and again is slowed down, a proven one never", async () => {
  const { store } = closedStore();
  store.ingest = () =>
    Promise.resolve([{ outcome: "stored", eventId: "e", correlationId: crypto.randomUUID() }]);
  const now = () => Date.UTC(2026, 5, 1);
  const limiter = new AbuseLimiter({ size: { burst: 5, perSecond: 1 }, now });
  await withApp({ store, limiter, now }, async (app) => {
    const from = (address: string, init: RequestInit) => {
      const headers = new Headers(init.headers);
      headers.set("x-forwarded-for", `9.9.9.9, ${address}`);
      return post(app, { ...init, headers });
    };
    for (let i = 0; i < 5; i++) assert.equal((await from("1.1.1.1", { body: "{}" })).status, 401);
    const slowed = await from("1.1.1.1", await signed("{}"));
    assert.equal(slowed.status, 429);
    assert.equal(slowed.headers.get("retry-after"), "1");
    assert.equal((await from("2.2.2.2", await signed("{}"))).status, 200);
    for (let i = 0; i < 20; i++) assert.equal((await from("2.2.2.2", { body: "{}" })).status, 401);
    assert.equal((await from("2.2.2.2", await signed("{}"))).status, 200);
  });
});

Deno.test("settings that cannot be understood accept nothing", async () => {
  const { store } = closedStore({
    ...CONFIG,
    webhook_config: { verify: { family: "none" }, event: { type: "x" } },
  });
  await withApp({ store }, async (app) => {
    assert.equal((await post(app, await signed("{}"))).status, 503);
  });
});

Deno.test("refusals are counted together and written after the answer", async () => {
  const { store, counts } = closedStore();
  await withApp({ store }, async (app) => {
    for (let i = 0; i < 3; i++) await post(app, { body: "{}" });
    await post(app, {}, "nobody");
    assert.deepEqual(counts, []);
  });
  assert.deepEqual(counts, [
    { provider: "github", reason: "missing_signature", count: 3 },
    { provider: "unknown", reason: "unknown_endpoint", count: 1 },
  ]);
});

async function withDatabaseUrl(url: string, test: () => Promise<void>) {
  const former = Deno.env.get("MARKETPLACE_DB_URL");
  Deno.env.set("MARKETPLACE_DB_URL", url);
  resetEnv();
  await closeDb();
  try {
    await test();
  } finally {
    if (former === undefined) Deno.env.delete("MARKETPLACE_DB_URL");
    else Deno.env.set("MARKETPLACE_DB_URL", former);
    resetEnv();
    await closeDb();
  }
}

Deno.test("a database that is away is 503 with Retry-After, at once", async () => {
  await withDatabaseUrl("postgres://nobody:x@127.0.0.1:1/none", async () => {
    await withApp({ store: databaseStore }, async (app) => {
      const started = performance.now();
      const { status, headers, code } = await post(app, await signed("{}"));
      assert.deepEqual([status, code, headers.get("retry-after")], [
        503,
        "database_unavailable",
        "5",
      ]);
      assert.ok(performance.now() - started < 1_000);
      const health = await app.request("/marketplace-webhook/health");
      assert.equal(health.status, 503);
      assert.equal((await health.json()).status, "unavailable");
    });
  });
});

Deno.test("a database that does not answer is given up in time", async () => {
  const sockets = new Set<{ destroy(): void }>();
  const silent = createServer((socket) => void sockets.add(socket));
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as { port: number };
  try {
    await withDatabaseUrl(`postgres://nobody:x@127.0.0.1:${port}/none`, async () => {
      await withApp({ store: databaseStore }, async (app) => {
        const started = performance.now();
        assert.equal((await post(app, await signed("{}"))).status, 503);
        assert.ok(performance.now() - started < 5_000);
        // The client's own give-up, so that no timer outlives the test.
        await new Promise((resolve) => setTimeout(resolve, 1_500));
      });
    });
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => silent.close(resolve));
  }
});

Deno.test("the counters stay few, whatever is refused", async () => {
  const written: RejectionCount[] = [];
  const counter = new RejectionCounter({
    flush: (rows) => Promise.resolve(void written.push(...rows)),
    log: createLogger("test"),
    intervalMs: 10,
  });
  for (let i = 0; i < 5_000; i++) counter.add(`provider-${i}`, "reason");
  await backgroundIdle();
  assert.ok(written.length <= 301, `${written.length} counters`);
  assert.equal(written.reduce((sum, { count }) => sum + count, 0), 5_000);
});

Deno.test("counts that could not be written are written with the next ones", async () => {
  const written: RejectionCount[][] = [];
  let isAway = true;
  const counter = new RejectionCounter({
    flush: (rows) => {
      if (isAway) return Promise.reject(new Error("away"));
      written.push(rows);
      return Promise.resolve();
    },
    log: createLogger("test"),
    intervalMs: 10,
  });
  counter.add("github", "invalid_signature");
  await backgroundIdle();
  isAway = false;
  counter.add("github", "invalid_signature");
  await backgroundIdle();
  assert.deepEqual(written, [[{ provider: "github", reason: "invalid_signature", count: 2 }]]);
});

Deno.test("the limiter remembers a bounded number of senders", () => {
  const limiter = new AbuseLimiter({ size: { burst: 1, perSecond: 0.001 }, maxSenders: 3 });
  const senders = ["a", "b", "c", "d"].map((source) => ({ source, provider: "github" }));
  for (const sender of senders) limiter.refused(sender, false);
  assert.deepEqual(senders.map((sender) => limiter.allows(sender)), [true, false, false, false]);
});

Deno.test("inventing another name does not give a slowed sender a new start", () => {
  const limiter = new AbuseLimiter({ size: { burst: 2, perSecond: 0.001 } });
  const from = (provider: string) => ({ source: "1.1.1.1", provider });
  limiter.verified(from("github"));
  limiter.refused(from("invented-1"), true);
  limiter.refused(from("invented-2"), true);
  assert.ok(!limiter.allows(from("invented-3")));
  assert.ok(limiter.allows(from("github")), "whoever is proven stays so");
});

Deno.test("invented paths do not push out the paths in use", async () => {
  const asked: string[] = [];
  const cache = new ConfigCache({
    load: (provider) => {
      asked.push(provider);
      return Promise.resolve(provider === "github" ? CONFIG : null);
    },
    secretFromEnv: () => undefined,
    maxEntries: 5,
  });
  await cache.get({ provider: "github", integration: null });
  for (let i = 0; i < 50; i++) await cache.get({ provider: `invented_${i}`, integration: null });
  await cache.get({ provider: "github", integration: null });
  assert.equal(asked.filter((provider) => provider === "github").length, 1);
});

Deno.test("a source is what our own proxy says, not what the sender adds", () => {
  assert.equal(sourceOf(new Headers({ "x-forwarded-for": "6.6.6.6, 1.2.3.4" })), "1.2.3.4");
  assert.equal(
    sourceOf(new Headers({ "cf-connecting-ip": "5.5.5.5", "x-forwarded-for": "1.2.3.4" })),
    "5.5.5.5",
  );
  assert.equal(sourceOf(new Headers()), "direct");
});
