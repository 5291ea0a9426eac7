/**
 * The only reader of the environment.
 *
 * Everything is optional at load time: a function that never talks to S3 must not fail because an
 * AWS key is missing. What a code path cannot do without is asked for with {@link requireEnv}, which
 * names the variable and how to get it.
 */
import { z } from "zod";
import { AppError } from "./errors.ts";

/** An empty value in a dotenv file means "not set", never an empty secret. */
const text = z.preprocess(
  (value) => typeof value === "string" && value.trim() === "" ? undefined : value,
  z.string().trim().optional(),
);
const url = z.preprocess(
  (value) => typeof value === "string" && value.trim() === "" ? undefined : value,
  z.url().transform((value) => value.replace(/\/+$/, "")).optional(),
);
const int = (minimum: number, fallback: number) =>
  z.preprocess(
    (value) => typeof value === "string" && value.trim() === "" ? undefined : value,
    z.coerce.number().int().min(minimum).default(fallback),
  );

/** The variables the functions understand; the README's table lists the same names. */
export const Env = z.object({
  SUPABASE_URL: url,
  SUPABASE_SERVICE_ROLE_KEY: text,
  SUPABASE_SECRET_KEY: text,
  /** Hosted projects with several secret keys: a JSON object `{name: key}`. */
  SUPABASE_SECRET_KEYS: text,
  SUPABASE_PUBLISHABLE_KEY: text,
  SUPABASE_ANON_KEY: text,
  SUPABASE_JWT_SECRET: text,
  SUPABASE_DB_URL: text,

  MARKETPLACE_DB_URL: text,
  MARKETPLACE_DB_POOL: int(1, 8),
  MARKETPLACE_FUNCTIONS_URL: url,
  /** The project's legacy JWT secret where the host does not pass SUPABASE_JWT_SECRET on. */
  MARKETPLACE_JWT_SECRET: text,
  /** The same, as a self-hosted Supabase calls it. */
  JWT_SECRET: text,
  /** Issuer of user tokens where it is not SUPABASE_URL/auth/v1, as with a self-hosted Auth. */
  MARKETPLACE_JWT_ISSUER: url,
  /** Where a browser may be sent after connecting: origins, separated by commas. */
  MARKETPLACE_REDIRECT_ORIGINS: text,
  MARKETPLACE_LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
  /** How long one drain may run, in milliseconds; stay well below the host's wall clock limit. */
  MARKETPLACE_DISPATCH_MAX_MS: int(100, 100_000),
  /** How long an idle dispatcher keeps polling after its last work, in milliseconds. */
  MARKETPLACE_DISPATCH_LINGER_MS: int(0, 600),
  /** How many deliveries one dispatcher keeps in flight. */
  MARKETPLACE_DISPATCH_CONCURRENCY: int(1, 64),

  N8N_URL: url,
  WINDMILL_URL: url,

  GITHUB_TOKEN: text,
  GOOGLE_CLIENT_ID: text,
  GOOGLE_CLIENT_SECRET: text,
  GOOGLE_REFRESH_TOKEN: text,
  GOOGLE_DRIVE_ARTIFACTS_FOLDER_ID: text,
  AWS_ACCESS_KEY_ID: text,
  AWS_SECRET_ACCESS_KEY: text,
  AWS_SESSION_TOKEN: text,
  AWS_REGION: text,
  AWS_S3_ARTIFACTS_BUCKET: text,
  SLACK_BOT_TOKEN: text,
  SLACK_ARTIFACTS_CHANNEL: text,
});
export type Env = z.infer<typeof Env>;

/** Where a missing value is found; shown to whoever operates the project. */
const REMEDY: Partial<Record<keyof Env, string>> = {
  SUPABASE_URL: "the project's URL (Dashboard → Settings → API); Supabase sets it for functions",
  SUPABASE_SERVICE_ROLE_KEY: "the project's secret key (Dashboard → Settings → API keys)",
  SUPABASE_SECRET_KEY: "the project's secret key (Dashboard → Settings → API keys)",
  SUPABASE_JWT_SECRET: "the project's JWT secret (Dashboard → Settings → JWT keys)",
  SUPABASE_DB_URL: "Supabase sets it for functions; elsewhere use MARKETPLACE_DB_URL",
  MARKETPLACE_DB_URL: "the transaction pooler's connection string (Dashboard → Connect)",
  MARKETPLACE_FUNCTIONS_URL: "the functions' base URL, or set SUPABASE_URL",
  MARKETPLACE_REDIRECT_ORIGINS: "the origins of your apps, such as https://app.example.com",
  N8N_URL: "the base URL of your n8n, for example https://n8n.example.com",
  WINDMILL_URL: "the base URL of your Windmill, for example https://windmill.example.com",
  GITHUB_TOKEN: "a GitHub token that may read Actions artifacts, or store an api_token in Vault",
  GOOGLE_CLIENT_ID: "the OAuth client's id (Google Cloud Console → Credentials)",
  GOOGLE_CLIENT_SECRET: "the OAuth client's secret (Google Cloud Console → Credentials)",
  GOOGLE_REFRESH_TOKEN: "a refresh token of the Google account that owns the Drive folder",
  AWS_ACCESS_KEY_ID: "an access key that may put and head objects in the bucket",
  AWS_SECRET_ACCESS_KEY: "the secret that belongs to AWS_ACCESS_KEY_ID",
  AWS_REGION: "the bucket's region, for example us-east-1",
  AWS_S3_ARTIFACTS_BUCKET: "the bucket that receives artifacts",
  SLACK_BOT_TOKEN: "the Slack app's bot token (xoxb-…), or store an api_token in Vault",
};

/**
 * Parses an environment; pure, so that tests can pass their own.
 *
 * @throws AppError `configuration_invalid` (500) naming each variable that cannot be used.
 */
export function parseEnv(source: Record<string, string | undefined>): Env {
  const parsed = Env.safeParse(source);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  throw new AppError("configuration_invalid", 500, "The server's configuration is invalid.", {
    cause: new Error(`environment: ${problems.join("; ")}`),
  });
}

let cached: Env | undefined;

/** The parsed environment, read once per isolate. */
export function env(): Env {
  return cached ??= parseEnv(Deno.env.toObject());
}

/** Forgets the parsed environment, for tests that change it. */
export function resetEnv(): void {
  cached = undefined;
}

/**
 * The value of a variable that the caller cannot work without.
 *
 * @throws AppError `configuration_missing` (503); the log names the variable and where to get it,
 *   the caller of the API only learns which one it is.
 */
export function requireEnv<K extends keyof Env>(name: K): NonNullable<Env[K]> {
  const value = env()[name];
  if (value !== undefined) return value as NonNullable<Env[K]>;
  throw missingEnv(name);
}

/** The error {@link requireEnv} raises, for callers that look at several variables at once. */
export function missingEnv(name: keyof Env): AppError {
  const remedy = REMEDY[name] ?? "see the environment table in README.md";
  return new AppError("configuration_missing", 503, `${name} is not set: ${remedy}.`);
}

/**
 * A secret whose variable is named by data (`providers.secret_env`), for example
 * `GITHUB_WEBHOOK_SECRET`. Names of the platform's own keys are refused: a catalogue row must not
 * be able to turn the service key into a webhook secret.
 */
export function secretFromEnv(name: string): string | undefined {
  if (!/^[A-Z][A-Z0-9_]*_(SECRET|TOKEN|KEY)$/.test(name)) return undefined;
  if (/^(SUPABASE|MARKETPLACE|AWS|DENO)_/.test(name)) return undefined;
  return Deno.env.get(name)?.trim() || undefined;
}

/** Every key that proves the caller is the platform itself (service role, old and new kind). */
export function serviceKeys(): string[] {
  const { SUPABASE_SECRET_KEY, SUPABASE_SERVICE_ROLE_KEY, SUPABASE_SECRET_KEYS } = env();
  const keys = [SUPABASE_SECRET_KEY, SUPABASE_SERVICE_ROLE_KEY];
  try {
    keys.push(...Object.values(JSON.parse(SUPABASE_SECRET_KEYS ?? "{}")).map(String));
  } catch {
    // Not JSON (a shell may have eaten its quotes): no key comes from it.
  }
  return [...new Set(keys.filter((key): key is string => Boolean(key)))];
}

/**
 * The base URL of the functions as seen from outside, without a trailing slash.
 *
 * @throws AppError `configuration_missing` (503) when neither variable is set.
 */
export function functionsUrl(): string {
  const { MARKETPLACE_FUNCTIONS_URL, SUPABASE_URL } = env();
  if (MARKETPLACE_FUNCTIONS_URL) return MARKETPLACE_FUNCTIONS_URL;
  if (SUPABASE_URL) return `${SUPABASE_URL}/functions/v1`;
  throw missingEnv("MARKETPLACE_FUNCTIONS_URL");
}
