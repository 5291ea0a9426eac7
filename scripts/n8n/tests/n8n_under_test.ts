/** The n8n that these tests speak to. */
import { join } from "node:path";
import { bootstrapDatabase, signingSecret } from "../../platform/database.ts";
import { resolveLayout } from "../../platform/layout.ts";
import { startPostgres, SUPERUSER } from "../../platform/postgres.ts";
import { findFreeBase } from "../../platform/processes.ts";
import { startN8n } from "../mod.ts";

/** A reachable n8n with the committed workflows published in it. */
export interface N8nUnderTest {
  url: string;
  signingSecret: string;
  /** What n8n writes to standard output and error. */
  logFile: string;
  stop(): Promise<void>;
}

/** The running stack's n8n when the environment names one, else one of its own on free ports. */
export async function n8nUnderTest(): Promise<N8nUnderTest> {
  const url = Deno.env.get("N8N_URL");
  const dbUrl = Deno.env.get("SUPABASE_DB_URL");
  if (url && dbUrl) {
    return {
      url,
      signingSecret: await signingSecret(dbUrl),
      logFile: join(resolveLayout().logs, "n8n.log"),
      stop: () => Promise.resolve(),
    };
  }
  const secret = newSigningSecret();
  const place = await ownPostgres();
  const n8n = await startN8n({
    ...place.n8nOptions,
    signingSecret: secret,
    log: (line) => console.error(line),
  });
  return {
    url: n8n.url,
    signingSecret: secret,
    logFile: place.logFile,
    async stop() {
      await n8n.stop();
      await place.stop();
    },
  };
}

/** A secret of the form that n8n can use: printable when decoded. */
export function newSigningSecret(): string {
  return `whsec_${btoa(crypto.randomUUID().replaceAll("-", ""))}`;
}

/** A Postgres like the stack's, in a home that is removed at the end. */
export async function ownPostgres() {
  const layout = resolveLayout({
    home: await Deno.makeTempDir({ prefix: "marketplace-n8n-" }),
    port: findFreeBase(),
  });
  await Deno.mkdir(layout.logs, { recursive: true });
  const server = await startPostgres(layout);
  await bootstrapDatabase(server.url(SUPERUSER));
  return {
    home: layout.home,
    logFile: join(layout.logs, "n8n.log"),
    n8nOptions: {
      home: layout.home,
      toolsDir: layout.tools,
      port: layout.ports.n8n,
      brokerPort: layout.ports.n8nBroker,
      dbUrl: server.url("postgres"),
    },
    async stop() {
      await server.stop();
      if (server.relocated) await Deno.remove(server.relocated, { recursive: true });
      await Deno.remove(layout.home, { recursive: true });
    },
  };
}
