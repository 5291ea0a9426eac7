/** Dispatchers beside the one of the stack. */
import { fileURLToPath } from "node:url";

const ENTRY = fileURLToPath(new URL("./dispatcher_process.ts", import.meta.url));

/** A dispatcher in a process of its own. */
export class DispatcherProcess {
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  readonly #ready = Promise.withResolvers<void>();

  /**
   * @param env of the stack it works for
   * @param name host of the functions URL that it gives to workflows
   */
  constructor(env: Record<string, string>, readonly name: string) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", ENTRY],
      env: {
        ...env,
        MARKETPLACE_FUNCTIONS_URL: `http://${name}/functions/v1`,
        MARKETPLACE_LOG_LEVEL: "error",
      },
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#reading = this.#read();
    this.#ready.promise.catch(() => {}); // one that is killed early is not waited for
  }

  async #read(): Promise<void> {
    const lines = this.#child.stdout.pipeThrough(new TextDecoderStream());
    let rest = "";
    for await (const text of lines) {
      const parts = (rest + text).split("\n");
      rest = parts.pop()!;
      for (const line of parts) {
        if (line === "ready") this.#ready.resolve();
      }
    }
    this.#ready.reject(new Error(`dispatcher ${this.name} ended before it was ready`));
  }

  /** Resolves when it looks for work. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Ends it in the middle of whatever it does. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended();
  }

  /** Lets it finish its drain, if it runs. */
  async stop(): Promise<void> {
    await this.#ended();
  }

  async #ended(): Promise<void> {
    await this.#child.stdin.close().catch(() => {}); // closed already, or broken with the process
    await this.#child.status;
    await this.#reading;
  }
}
