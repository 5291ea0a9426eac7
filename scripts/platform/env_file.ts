/**
 * The stack's environment file: `KEY=value` lines that exist only while the stack is ready.
 * @module
 */

/** Reads `KEY=value` lines; blank lines and `#` comments are skipped, quotes around values dropped. */
export function parseEnv(text: string): Record<string, string> {
  const env: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const match = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/.exec(line);
    if (!match) continue;
    env[match[1]!] = match[2]!.replace(/^(["'])(.*)\1$/, "$2");
  }
  return env;
}

/**
 * Writes the file at once or not at all, readable by its owner only.
 * @param path where the file is to stand
 */
export async function writeEnvFile(path: string, env: Record<string, string>): Promise<void> {
  const draft = `${path}.${Deno.pid}.tmp`;
  const text = Object.entries(env).map(([key, value]) => `${key}=${value}\n`).join("");
  await Deno.writeTextFile(draft, text, { mode: 0o600 });
  await Deno.rename(draft, path);
}

/** Reads a running stack's environment file, or null when the stack is not ready. */
export async function readEnvFile(path: string): Promise<Record<string, string> | null> {
  try {
    return parseEnv(await Deno.readTextFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
