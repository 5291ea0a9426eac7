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

/**
 * Lends an API key of the owner's for as long as `use` takes.
 * @param owner.url base URL of the n8n
 * @throws Error when n8n refuses the owner
 */
export async function withApiKey<T>(
  { url, secrets }: { url: string; secrets: Secrets },
  use: (apiKey: string) => Promise<T>,
): Promise<T> {
  const rest = async (
    request: string,
    { cookie = "", body }: { cookie?: string; body?: unknown },
  ) => {
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
  const { response } = await rest("POST login", {
    body: { emailOrLdapLoginId: secrets.ownerEmail, password: secrets.ownerPassword },
  });
  const cookie = response.headers.getSetCookie().map((each) => each.split(";")[0]).join("; ");
  const { data } = await rest("POST api-keys", {
    cookie,
    body: {
      label: `import ${crypto.randomUUID().slice(0, 8)}`,
      scopes: IMPORT_SCOPES,
      expiresAt: Math.floor(Date.now() / 1000) + 600, // in case it is not deleted below
    },
  });
  try {
    return await use(data.rawApiKey);
  } finally {
    await rest(`DELETE api-keys/${data.id}`, { cookie });
  }
}
