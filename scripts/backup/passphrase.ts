/**
 * Where the commands take the passphrase from: never from their arguments, which others can read.
 * @module
 */

/**
 * The passphrase of MARKETPLACE_BACKUP_PASSPHRASE, else of a file's first line.
 * @throws {Error} when there is neither
 */
export async function readPassphrase(file: string | undefined): Promise<string> {
  const passphrase = file
    ? (await Deno.readTextFile(file)).split("\n")[0]!.trim()
    : Deno.env.get("MARKETPLACE_BACKUP_PASSPHRASE");
  if (passphrase) return passphrase;
  throw new Error(
    "No passphrase: set MARKETPLACE_BACKUP_PASSPHRASE, or give --passphrase-file FILE. " +
      "Make one with: openssl rand -base64 32",
  );
}
