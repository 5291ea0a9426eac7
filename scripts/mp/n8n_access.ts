/**
 * The way into a place's n8n: its public API, with an API key.
 * @module
 */
import { makeExecutionsKey, withApiKey } from "../n8n/owner.ts";
import { UsageError } from "./errors.ts";
import type { Place } from "./place.ts";

/** An n8n and a key to it. */
export interface N8nAccess {
  url: string;
  apiKey: string;
  /**
   * A key for the workflows that read failed executions, made anew. Without it they may be given
   * `apiKey`, which then lasts.
   */
  executionsKey?: () => Promise<string>;
}

/** Whether {@link withN8n} has a way in. */
export async function canEnterN8n(place: Place): Promise<boolean> {
  if (!place.n8nUrl) return false;
  return place.n8nApiKey !== undefined || await ownerSecrets(place) !== null;
}

/**
 * Lends access to the place's n8n: N8N_API_KEY, or for the local stack a key of its owner's that
 * lasts as long as `use`.
 * @throws {UsageError} when there is no n8n, or no way in
 */
export async function withN8n<T>(place: Place, use: (n8n: N8nAccess) => Promise<T>): Promise<T> {
  const { n8nUrl: url, n8nApiKey: apiKey } = place;
  if (!url) throw new UsageError("N8N_URL is not set: give the base URL of your n8n.");
  if (apiKey) return await use({ url, apiKey });
  const secrets = await ownerSecrets(place);
  if (secrets) {
    const executionsKey = () => makeExecutionsKey({ url, secrets });
    return await withApiKey({ url, secrets }, (apiKey) => use({ url, apiKey, executionsKey }));
  }
  throw new UsageError(
    "N8N_API_KEY is not set: make a key in n8n (Settings → n8n API) that may list, read, create, " +
      "update and activate workflows, list, create and update credentials, and read executions.",
  );
}

/** The local n8n's owner; null when there is none. */
async function ownerSecrets({ n8nSecretsFile }: Place) {
  if (!n8nSecretsFile) return null;
  try {
    return JSON.parse(await Deno.readTextFile(n8nSecretsFile));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
