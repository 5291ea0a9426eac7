/**
 * The few calls of Supabase's Management API that a deployment makes itself. Bundling and uploading
 * functions is left to the supabase CLI.
 * @see https://supabase.com/docs/reference/api/introduction
 * @module
 */
import { z } from "zod";

/** Where the API of the hosted platform stands. */
export const MANAGEMENT_API = "https://api.supabase.com";

const Project = z.object({ name: z.string(), region: z.string().optional(), status: z.string() });

/** An Edge Function as the API lists it. */
export const DeployedFunction = z.object({
  slug: z.string(),
  status: z.string(),
  version: z.number(),
  verify_jwt: z.boolean().optional(),
  /** Digest of the bundle, made by the platform. */
  ezbr_sha256: z.string().optional(),
});
export type DeployedFunction = z.infer<typeof DeployedFunction>;

/** A function secret as the API lists it: `value` is the SHA-256 of the value, in hex. */
const Secret = z.object({ name: z.string(), value: z.string() });

/** The Data API's settings, as far as they are read here. */
const Postgrest = z.object({ db_schema: z.string() });

/** A client for one project. */
export class ManagementApi {
  /**
   * @param options.url base URL of the API, without a path
   * @param options.ref project reference, twenty lowercase letters
   * @param options.token personal access token, `sbp_…`
   */
  constructor(readonly options: { url: string; ref: string; token: string }) {}

  /** Name and status of the project. */
  project = () => this.#call("GET", "", Project);
  functions = () => this.#call("GET", "/functions", z.array(DeployedFunction));
  secrets = () => this.#call("GET", "/secrets", z.array(Secret));
  postgrest = () => this.#call("GET", "/postgrest", Postgrest);

  /** Sets function secrets; those not named stay as they are. */
  setSecrets = (secrets: { name: string; value: string }[]) =>
    this.#call("POST", "/secrets", z.unknown(), secrets);

  /** @param schemas the Data API's schemas, all of them, the default first */
  exposeSchemas = (schemas: string[]) =>
    this.#call("PATCH", "/postgrest", Postgrest, { db_schema: schemas.join(", ") });

  async #call<T>(method: string, path: string, schema: z.ZodType<T>, body?: unknown): Promise<T> {
    const { url, ref, token } = this.options;
    const where = `/v1/projects/${ref}${path}`;
    const response = await fetch(new URL(where, url), {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      redirect: "error",
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    if (!response.ok) {
      // What is refused may be repeated in the answer: only its message is shown, never a body of ours.
      throw new Error(
        `${method} ${where} was refused: ${response.status} ${messageOf(text)}` +
          (response.status === 401 || response.status === 403
            ? "\nSUPABASE_ACCESS_TOKEN must be valid and may do this in the project's organization: " +
              "https://supabase.com/dashboard/account/tokens"
            : response.status === 404
            ? `\nIs "${ref}" the reference of a project that the token's account can see?`
            : ""),
      );
    }
    const parsed = schema.safeParse(text === "" ? null : JSON.parse(text));
    if (parsed.success) return parsed.data;
    throw new Error(
      `${method} ${where} answered in an unknown form: ${parsed.error.issues[0]?.message}`,
    );
  }
}

function messageOf(text: string): string {
  try {
    return String(JSON.parse(text).message ?? "").slice(0, 300);
  } catch {
    return "";
  }
}
