/**
 * The Data API and Auth of this machine: `@supabase/lite` in front of the embedded Postgres.
 * @module
 */
import { App } from "@supabase/lite";
import { PostgresConnection } from "@supabase/lite/postgres";
import postgres from "postgres";
import { JWT_SECRET, PUBLISHABLE_KEY, SECRET_KEY } from "./keys.ts";

/** A running Data API. */
export interface DataApi {
  fetch(request: Request): Response | Promise<Response>;
  close(): Promise<void>;
}

/** On the wire, values look like PostgREST's: jsonb as given, exact numerics, `T` in timestamps. */
const types = {
  jsonb: {
    to: 3802,
    from: [3802],
    serialize: (value: unknown) =>
      typeof value === "string" && /^\s*([[{"]|-?\d|true$|false$|null$)/.test(value)
        ? value
        : JSON.stringify(value),
    parse: JSON.parse,
  },
  numeric: { to: 1700, from: [1700], serialize: String, parse: Number },
  timestamptz: {
    to: 1184,
    from: [1184],
    serialize: (value: string) => value,
    parse: (value: string) => value.replace(" ", "T").replace(/([+-]\d\d)$/, "$1:00"),
  },
};

/**
 * Starts the Data API (`/rest/v1`) and Auth (`/auth/v1`).
 *
 * On its first request lite would grant ALL on every schema that has row level security to `anon`,
 * `authenticated` and `service_role`. Two things keep it from that: it is told that this is done
 * already, and it connects as a role that owns nothing and so can grant nothing.
 * @param options.url connection of the role `supabase_lite`
 * @param options.siteUrl base URL of the gateway
 * @param options.schemas what `/rest/v1` exposes
 */
export function startDataApi(
  options: { url: string; siteUrl: string; schemas: readonly string[] },
): DataApi {
  const connection = new PostgresConnection({
    url: options.url,
    postgresOptions: { max: 10, onnotice: () => {}, types },
  } as never);
  (connection as unknown as { rlsState: string }).rlsState = "active";
  const app = new App({
    connection,
    api: { enabled: true, schemas: [...options.schemas] },
    auth: {
      enabled: true,
      jwt_secret: JWT_SECRET,
      site_url: options.siteUrl,
      enable_signup: true,
      publishable_key: PUBLISHABLE_KEY,
      secret_key: SECRET_KEY,
      email: { enable_confirmations: false },
    },
    options: { server: { disableStudio: true } },
  } as never);

  // NOTIFY pgrst, 'reload schema': sent by the platform after every DDL statement.
  const listener = postgres(options.url, { max: 1, onnotice: () => {} });
  const reload = () => void connection.clearSchemaCache();
  const listening = listener.listen("pgrst", reload, reload).catch(() => {});

  return {
    fetch: (request) => app.fetch(request, { peerAddress: null } as never),
    async close() {
      await listening;
      await Promise.all([listener.end({ timeout: 1 }), connection.close()]);
    },
  };
}
