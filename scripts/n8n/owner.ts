/** The local n8n's secrets, and its owner: an account that only this machine uses. */
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { IMPORT_SCOPES } from "./import.ts";
import type { Installation } from "./install.ts";

const OWNER_EMAIL = "owner@example.com";

/** What one home's n8n keeps secret. */
export interface Secrets {
  encryptionKey: string;
  databasePassword: string;
  runnersToken: string;
  ownerEmail: string;
  ownerPassword: string;
  ownerPasswordHash: string;
}

/**
 * This home's own secrets; made on first need, readable by its owner only.
 * @param folder n8n's folder in the home
 */
export async function readSecrets(folder: string, installation: Installation): Promise<Secrets> {
  const file = join(folder, "secrets.json");
  try {
    return JSON.parse(await Deno.readTextFile(file));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const random = () => randomBytes(24).toString("hex");
  const ownerPassword = `A1-${random()}`;
  const n8n = await Deno.realPath(join(installation.directory, "node_modules", "n8n"));
  const bcrypt = createRequire(join(n8n, "package.json"))("bcryptjs");
  const secrets: Secrets = {
    encryptionKey: random(),
    databasePassword: random(),
    runnersToken: random(),
    ownerEmail: OWNER_EMAIL,
    ownerPassword,
    ownerPasswordHash: bcrypt.hashSync(ownerPassword, 10),
  };
  const text = JSON.stringify(secrets, null, 2) + "\n";
  await Deno.writeTextFile(`${file}.new`, text, { mode: 0o600 });
  await Deno.rename(`${file}.new`, file);
  return secrets;
}

/** Label of the key that {@link makeExecutionsKey} makes. */
const EXECUTIONS_KEY_LABEL = "read failed executions";

/** A place that the owner logs in to. */
interface OwnersN8n {
  /** Base URL of the n8n. */
  url: string;
  secrets: Secrets;
}

/**
 * Lends an API key of the owner's for as long as `use` takes.
 * @param n8n.scopes what the key may do; default: what the import needs
 * @throws Error when n8n refuses the owner
 */
export async function withApiKey<T>(
  n8n: OwnersN8n & { scopes?: readonly string[] },
  use: (apiKey: string) => Promise<T>,
): Promise<T> {
  const rest = await logIn(n8n);
  const { id, rawApiKey } = await rest<{ id: string; rawApiKey: string }>("POST api-keys", {
    label: `import ${crypto.randomUUID().slice(0, 8)}`,
    scopes: n8n.scopes ?? IMPORT_SCOPES,
    expiresAt: Math.floor(Date.now() / 1000) + 600, // in case it is not deleted below
  });
  try {
    return await use(rawApiKey);
  } finally {
    await rest(`DELETE api-keys/${id}`);
  }
}

/**
 * Makes a key that may read executions and nothing else, and ends the one made before. It does not
 * expire: workflows read with it why another workflow failed.
 * @throws Error when n8n refuses the owner
 */
export async function makeExecutionsKey(n8n: OwnersN8n): Promise<string> {
  const rest = await logIn(n8n);
  const { items } = await rest<{ items: { id: string; label: string }[] }>("GET api-keys");
  for (const { id, label } of items) {
    if (label === EXECUTIONS_KEY_LABEL) await rest(`DELETE api-keys/${id}`);
  }
  const { rawApiKey } = await rest<{ rawApiKey: string }>("POST api-keys", {
    label: EXECUTIONS_KEY_LABEL,
    scopes: ["execution:read"],
    expiresAt: null,
  });
  return rawApiKey;
}

/** Logs the owner in. @returns n8n's internal API, called as `rest("POST path", body)` */
async function logIn({ url, secrets }: OwnersN8n) {
  const call = async (request: string, cookie: string, body?: unknown) => {
    const [method, path] = request.split(" ");
    const response = await fetch(`${url}/rest/${path}`, {
      method,
      headers: { "content-type": "application/json", cookie },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    if (response.ok) return { response, data: JSON.parse(text).data };
    throw new Error(`n8n refused ${request}: ${response.status} ${text}`);
  };
  const { response } = await call("POST login", "", {
    emailOrLdapLoginId: secrets.ownerEmail,
    password: secrets.ownerPassword,
  });
  const cookie = response.headers.getSetCookie().map((each) => each.split(";")[0]).join("; ");
  return async <T>(request: string, body?: unknown): Promise<T> =>
    (await call(request, cookie, body)).data;
}
