/**
 * Files of this repository that are made from something else in it.
 * @module
 */
import { join, relative } from "node:path";
import { REPOSITORY } from "../platform/layout.ts";

/** Where the generated files stand, from the root of the checkout. */
export const GENERATED = {
  databaseTypes: "supabase/functions/_shared/client/database.types.ts",
  actionTypes: "supabase/functions/_shared/client/action.types.ts",
  reference: "supabase/reference.md",
  openapi: "supabase/functions/marketplace-execute/openapi.json",
} as const;

/**
 * Writes a generated file, or says that it is not what would be written.
 * @param path from the root of the checkout
 * @param options.check writes nothing
 * @returns whether the file held this text before
 */
export async function writeGenerated(
  path: string,
  text: string,
  { check }: { check: boolean },
): Promise<boolean> {
  const file = join(REPOSITORY, path);
  const before = await Deno.readTextFile(file).catch(() => null);
  const isFresh = before === text;
  if (!isFresh && !check) await Deno.writeTextFile(file, text);
  const verdict = isFresh ? "as it was" : check ? "STALE" : "written";
  console.log(`${relative(REPOSITORY, file)}  ${verdict}`);
  return isFresh;
}

/** Formats TypeScript with this project's settings. */
export async function formatTypeScript(text: string): Promise<string> {
  return await format(text, "ts");
}

/** Formats JSON with this project's settings. */
export async function formatJson(text: string): Promise<string> {
  return await format(text, "json");
}

async function format(text: string, extension: string): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", `--ext=${extension}`, "-"],
    cwd: REPOSITORY,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const written = writer.write(new TextEncoder().encode(text)).then(() => writer.close());
  const { success, stdout, stderr } = await child.output();
  await written;
  if (!success) throw new Error(`deno fmt: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
