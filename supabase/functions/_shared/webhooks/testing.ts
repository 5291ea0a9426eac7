/** The catalogue as the migrations write it, for tests that run without a database. */

/** A row of `marketplace.providers`, as far as webhooks go. */
export interface CatalogueRow {
  slug: string;
  secretEnv: string | null;
  maxBodyBytes: number;
  webhookConfig: Record<string, unknown>;
}

const MIGRATIONS = new URL("../../../migrations/", import.meta.url);

const ROW =
  /\(\n {2}'([a-z0-9_]+)',[^$]*?(?:'([A-Z][A-Z0-9_]*)'|null), (?:'[a-z-]+'|null), (\d+),\s*\$json\$([\s\S]+?)\$json\$/g;

/** Reads the providers' rows out of the migrations that insert them. */
export async function readCatalogue(): Promise<Map<string, CatalogueRow>> {
  const rows = new Map<string, CatalogueRow>();
  for await (const { name } of Deno.readDir(MIGRATIONS)) {
    if (!name.includes("_webhook_schemes")) continue;
    const sql = await Deno.readTextFile(new URL(name, MIGRATIONS));
    for (const [, slug, secretEnv, maxBodyBytes, config] of sql.matchAll(ROW)) {
      rows.set(slug!, {
        slug: slug!,
        secretEnv: secretEnv ?? null,
        maxBodyBytes: Number(maxBodyBytes),
        webhookConfig: JSON.parse(config!),
      });
    }
  }
  return rows;
}
