/**
 * The Management API as far as a deployment uses it, on loopback: it keeps what it is given, makes
 * a bundle's digest of the uploaded files, counts versions, and answers secrets with their digests.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { Hono } from "hono";

const sha256 = (data: string | Uint8Array) => createHash("sha256").update(data).digest("hex");

/** A function as the API keeps it. */
interface Kept {
  id: string;
  slug: string;
  name: string;
  status: string;
  version: number;
  verify_jwt: boolean;
  import_map: boolean;
  import_map_path: string;
  entrypoint_path: string;
  ezbr_sha256: string;
  created_at: number;
  updated_at: number;
}

/** A running fake. */
export interface FakeManagementApi {
  url: string;
  token: string;
  /** `METHOD path` of every call, in order. */
  calls: string[];
  functions: Map<string, Kept>;
  /** Paths of the files each function was last uploaded with. */
  uploads: Map<string, string[]>;
  secrets: Map<string, string>;
  schemas: string;
  status: string;
  stop(): Promise<void>;
}

/** Starts it for one project. */
export function startFakeManagementApi(ref: string): FakeManagementApi {
  const token = `sbp_${"0123456789abcdef".repeat(3).slice(0, 40)}`;
  const app = new Hono().basePath(`/v1/projects/${ref}`);
  const fake: FakeManagementApi = {
    url: "",
    token,
    calls: [],
    functions: new Map(),
    uploads: new Map(),
    secrets: new Map(),
    schemas: "public, graphql_public",
    status: "ACTIVE_HEALTHY",
    stop: () => server.shutdown(),
  };

  app.use(async (context, next) => {
    const { pathname, search } = new URL(context.req.url);
    fake.calls.push(`${context.req.method} ${pathname.split(ref)[1]}${search}`);
    if (context.req.header("authorization") !== `Bearer ${token}`) {
      return context.json({ message: "Unauthorized" }, 401);
    }
    await next();
  });
  app.get("/", (context) =>
    context.json({
      id: ref,
      ref,
      organization_id: "acme",
      organization_slug: "acme",
      name: "Shop",
      region: "eu-central-1",
      created_at: "2026-01-01T00:00:00Z",
      status: fake.status,
      database: {
        host: `db.${ref}.supabase.co`,
        version: "17.6.1",
        postgres_engine: "17",
        release_channel: "ga",
      },
    }));

  app.get("/functions", (context) => context.json([...fake.functions.values()]));
  const keep = (uploaded: Kept) => {
    const version = (fake.functions.get(uploaded.slug)?.version ?? 0) + 1;
    const kept = { ...uploaded, version };
    fake.functions.set(kept.slug, kept);
    return kept;
  };
  app.post("/functions/deploy", async (context) => {
    const slug = context.req.query("slug")!;
    const form = await context.req.formData();
    const metadata = JSON.parse(String(form.get("metadata")));
    const files = form.getAll("file").filter((file) => file instanceof File);
    const digest = createHash("sha256");
    for (const file of files.toSorted((a, b) => a.name < b.name ? -1 : 1)) {
      digest.update(`${file.name}\0`).update(new Uint8Array(await file.arrayBuffer()));
    }
    fake.uploads.set(slug, files.map((file) => file.name).sort());
    const bundle: Kept = {
      id: crypto.randomUUID(),
      slug,
      name: metadata.name ?? slug,
      status: "ACTIVE",
      version: 1,
      verify_jwt: metadata.verify_jwt,
      import_map: Boolean(metadata.import_map_path),
      import_map_path: `file:///${join(metadata.import_map_path ?? "")}`,
      entrypoint_path: `file:///${metadata.entrypoint_path}`,
      ezbr_sha256: digest.digest("hex"),
      created_at: Date.now(),
      updated_at: Date.now(),
    };
    return context.json(context.req.query("bundleOnly") === "true" ? bundle : keep(bundle), 201);
  });
  app.put("/functions", async (context) => {
    const uploaded: Kept[] = await context.req.json();
    return context.json({ functions: uploaded.map(keep) });
  });

  app.get("/secrets", (context) =>
    context.json(
      [...fake.secrets].map(([name, value]) => ({ name, value: sha256(value) })),
    ));
  app.post("/secrets", async (context) => {
    for (const { name, value } of await context.req.json()) {
      if (name.startsWith("SUPABASE_")) return context.json({ message: "reserved name" }, 400);
      fake.secrets.set(name, value);
    }
    return context.body(null, 201);
  });

  app.get("/postgrest", (context) => context.json({ db_schema: fake.schemas, max_rows: 1000 }));
  app.patch("/postgrest", async (context) => {
    fake.schemas = (await context.req.json()).db_schema;
    return context.json({ db_schema: fake.schemas, max_rows: 1000 });
  });

  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, app.fetch);
  fake.url = `http://127.0.0.1:${server.addr.port}`;
  return fake;
}
