/** Child processes that always end: with their caller's signal, on stop, or when found orphaned. */

/** Receives one line of text, without its line end. */
export type Log = (line: string) => void;

/** How a finished command ended. */
export interface RunResult {
  code: number;
  /** The last lines of both streams. */
  tail: string;
}

/**
 * Runs a command to its end, in a process group of its own so that aborting ends its children too.
 *
 * @returns `"not found"` when there is no such command.
 * @throws the reason of `signal` when it was aborted; nothing of the command runs on.
 */
export async function run(
  command: string,
  args: string[],
  options: {
    cwd?: string;
    env?: Record<string, string>;
    onLine?: Log;
    signal?: AbortSignal;
  } = {},
): Promise<RunResult | "not found"> {
  const { cwd, env, onLine, signal } = options;
  if (signal?.aborted) throw abortError(signal);
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(command, {
      args,
      cwd,
      env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "not found";
    throw error;
  }
  const onAbort = () => killGroup(child.pid, "SIGKILL");
  signal?.addEventListener("abort", onAbort, { once: true });
  const tail: string[] = [];
  const read = async (stream: ReadableStream<Uint8Array>) => {
    for await (const line of lines(stream)) {
      onLine?.(line);
      tail.push(line);
      if (tail.length > 20) tail.shift();
    }
  };
  const [{ code }] = await Promise.all([child.status, read(child.stdout), read(child.stderr)]);
  signal?.removeEventListener("abort", onAbort);
  if (signal?.aborted) throw abortError(signal);
  return { code, tail: tail.join("\n") };
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split(/\r?\n/);
    rest = parts.pop()!;
    yield* parts;
  }
  if (rest !== "") yield rest;
}

/** Sends a signal to a process and everything it started; a process that is gone is no error. */
export function killGroup(pid: number, signal: Deno.Signal): void {
  for (const target of [-pid, pid]) {
    try {
      Deno.kill(target, signal);
    } catch {
      // Gone already, or it leads no group.
    }
  }
}

/** The error of an aborted signal. */
export function abortError(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason));
}

/** Waits, but no longer than until `signal` is aborted. @throws the reason of `signal`. */
export async function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) throw abortError(signal);
  await new Promise<void>((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer);
      reject(abortError(signal!));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
