import { SandboxClient } from "./client.ts";
import { type RunningSandbox, startSandbox } from "./mod.ts";

/**
 * Gives a test file a sandbox of its own on free ports: emptied before each test, stopped after
 * the last. Call it once, at the top of the file.
 */
export function useSandbox(): RunningSandbox & { control: SandboxClient } {
  const sandbox = startSandbox({ port: 0, s3Port: 0 });
  const control = new SandboxClient(sandbox.url);
  Deno.test.beforeEach(() => control.reset());
  Deno.test.afterAll(() => sandbox.stop());
  return { ...sandbox, control };
}
