/**
 * What the last deployment left, kept in the project's own Vault beside the other facts the platform
 * knows about itself. It holds digests only, and is what makes a second deployment do nothing.
 * @module
 */
import type { Sql } from "postgres";
import { z } from "zod";

const NAME = "marketplace_release";

const ReleaseSchema = z.object({
  /** The project the functions belong to; a database restored elsewhere has none. */
  target: z.string(),
  /** By slug: digest of the sources, and the version and bundle the project made of them. */
  functions: z.record(
    z.string(),
    z.object({ source: z.string(), version: z.number(), bundle: z.string().nullable() }),
  ),
  /** Digest of the signing secret that n8n's credential was last given, and of n8n's URL. */
  credential: z.string().nullable(),
});
/** What the last deployment left. */
export type Release = z.infer<typeof ReleaseSchema>;

/** One of the platform's own secrets by name; null when it, or Vault itself, is not there yet. */
export async function readPlatformSecret(sql: Sql, name: string): Promise<string | null> {
  const [vault] = await sql`select to_regclass('vault.decrypted_secrets') is not null as is_there`;
  if (!vault?.is_there) return null;
  const [row] = await sql<{ text: string | null }[]>`
    select decrypted_secret as text from vault.decrypted_secrets where name = ${name}`;
  return row?.text ?? null;
}

/**
 * Reads the last release.
 * @param target project reference, or the functions' URL of a self-hosted platform
 * @returns null when there was none to this target
 */
export async function readRelease(sql: Sql, target: string): Promise<Release | null> {
  const text = await readPlatformSecret(sql, NAME);
  if (text === null) return null;
  const parsed = ReleaseSchema.safeParse(JSON.parse(text));
  return parsed.success && parsed.data.target === target ? parsed.data : null;
}

/** Replaces what is remembered, but for what `changes` leaves out. */
export async function writeRelease(
  sql: Sql,
  target: string,
  changes: Partial<Release>,
): Promise<void> {
  const last = await readRelease(sql, target) ?? { target, functions: {}, credential: null };
  await sql`select marketplace._set_platform_secret(${NAME}, ${
    JSON.stringify({ ...last, ...changes })
  })`;
}
