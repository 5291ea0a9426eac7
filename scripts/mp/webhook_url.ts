/**
 * Where an integration's deliveries go.
 * @module
 */
import type { Place } from "./place.ts";
import type { Sql } from "./session.ts";

/**
 * Base URL of the Edge Functions: what the environment says, else what the database rings.
 * @returns null when nobody has said it
 */
export async function functionsUrl(sql: Sql, place: Place): Promise<string | null> {
  if (place.functionsUrl) return place.functionsUrl;
  const [row] = await sql<{ url: string | null }[]>`
    select marketplace.dispatch_settings() ->> 'functions_url' as url`;
  return row?.url ?? null;
}

/** The URL to enter at the provider: its path names the integration unless it is the default one. */
export function webhookUrl(
  base: string,
  integration: { provider: string; slug: string; is_default: boolean },
): string {
  const provider = integration.provider.replaceAll("_", "-");
  return `${base}/marketplace-webhook/${provider}` +
    (integration.is_default ? "" : `/${integration.slug}`);
}
