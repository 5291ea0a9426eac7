/**
 * Secrets on their way in: from a pipe, or typed without an echo; never from the command line, which
 * other users of the machine can read.
 * @module
 */
import { UsageError } from "./errors.ts";

/**
 * Reads one secret from standard input.
 * @param prompt what to ask for at a terminal
 * @throws {UsageError} when none is given
 */
export async function readSecret(prompt: string): Promise<string> {
  const secret = Deno.stdin.isTerminal()
    ? await typed(prompt)
    : (await new Response(Deno.stdin.readable).text()).replace(/\r?\n$/, "");
  if (secret === "") throw new UsageError("No secret was given: type it, or pipe it in.");
  if (/[\r\n]/.test(secret) && !secret.includes("-----BEGIN")) {
    throw new UsageError("The secret has several lines: pipe in the value alone.");
  }
  return secret;
}

/** A line typed at the terminal; nothing of it is shown. */
async function typed(prompt: string): Promise<string> {
  const say = (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(text));
  say(`${prompt}: `);
  Deno.stdin.setRaw(true);
  try {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(1024);
    let line: string[] = [];
    for (;;) {
      const read = await Deno.stdin.read(buffer);
      if (read === null) return line.join("");
      for (const character of decoder.decode(buffer.subarray(0, read), { stream: true })) {
        if (character === "\r" || character === "\n" || character === "\x04") return line.join("");
        if (character === "\x03") throw new UsageError("Nothing was changed.");
        if (character === "\x7f" || character === "\b") line.pop();
        else if (character === "\x15") line = []; // Ctrl-U
        else if (character >= " ") line.push(character);
      }
    }
  } finally {
    Deno.stdin.setRaw(false);
    say("\n");
  }
}
