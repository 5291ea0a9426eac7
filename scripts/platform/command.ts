/**
 * What the commands of this folder's parent have in common.
 * @module
 */

/**
 * Runs a command and ends the process: with the exit code the command returns, or with 1 and the
 * message of the error it threw.
 */
export async function runCommand(command: () => Promise<number>): Promise<never> {
  try {
    Deno.exit(await command());
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}

/** Prints a command's help and ends the process. */
export function showHelp(text: string): never {
  console.log(text.trim());
  Deno.exit(0);
}
