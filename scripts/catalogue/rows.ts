/**
 * The catalogue as it stands in a database.
 * @module
 */
import postgres from "postgres";
import type { ActionRow, ProviderRow } from "../../supabase/functions/_shared/gateway/catalogue.ts";

/** Every provider that has actions or says how it is entered, and every action. */
export interface Catalogue {
  providers: ProviderRow[];
  actions: ActionRow[];
}

/** An action with what it is called. */
export interface NamedAction extends ActionRow {
  name: string;
}

/** Reads the catalogue; rows are as the columns hold them, nothing of their jsonb is checked yet. */
export async function loadCatalogue(
  url: string,
): Promise<{ providers: ProviderRow[]; actions: NamedAction[] }> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    const providers = await sql<ProviderRow[]>`
      select p.slug, p.base_url, p.auth_type, p.auth_config, p.request_headers, p.rate_limit,
        p.response_errors, p.health_action
      from marketplace.providers as p
      where p.auth_type <> 'none'
        or exists (select from marketplace.actions as a where a.provider_slug = p.slug)
      order by p.slug`;
    const actions = await sql<NamedAction[]>`
      select a.provider_slug, a.slug, a.name, a.method, a.path, a.request_schema,
        a.query_parameters, a.header_parameters, a.body_type, a.request_transform, a.response_type,
        a.response_transform, a.pagination, a.handler, a.is_read_only, a.is_idempotent,
        a.idempotency_header, a.quota_cost, a.timeout_ms, a.sensitive_paths, a.scopes
      from marketplace.actions as a
      order by a.provider_slug, a.slug`;
    return { providers: [...providers], actions: [...actions] };
  } finally {
    await sql.end();
  }
}
