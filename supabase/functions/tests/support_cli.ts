/** `deno task mp` run as a process of its own, and faults for `doctor` to find. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { REPOSITORY } from "../../../scripts/platform/layout.ts";

/** How a command ended, and what it printed. */
export interface Ran {
  code: number;
  out: string;
  error: string;
}

/** Where and how a command runs. */
export interface RunOptions {
  /** All that the command has of an environment, beside what names no place. */
  env: Record<string, string>;
  stdin?: string | undefined;
  /** Whose command line, and files, it is; default: this checkout's. */
  checkout?: string;
}

/** The command line as a process, with nothing of this process's environment that names a place. */
export function command(args: string[], options: RunOptions): Deno.Command {
  const { env, stdin, checkout = REPOSITORY } = options;
  const kept = ["PATH", "HOME", "DENO_DIR", "TMPDIR", "MARKETPLACE_TOOLS"]
    .flatMap((name) => Deno.env.get(name) ? [[name, Deno.env.get(name)!]] : []);
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", join(checkout, "scripts", "mp.ts"), ...args],
    cwd: checkout,
    clearEnv: true,
    env: { ...Object.fromEntries(kept), COLUMNS: "80", ...env },
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  });
}

/** Runs the command line to its end. */
export async function run(args: string[], options: RunOptions): Promise<Ran> {
  const child = command(args, options).spawn();
  if (options.stdin !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(options.stdin));
    await writer.close();
  }
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), error: decoder.decode(stderr) };
}

/** A checkout of the same files, for commands that write some; the caller removes it. */
export async function copyOfTheCheckout(): Promise<string> {
  const copy = await Deno.makeTempDir({ prefix: "marketplace-checkout-" });
  for (const name of ["deno.json", "deno.lock", "n8n", "scripts", "supabase"]) {
    const { success } = await new Deno.Command("cp", {
      args: ["-R", join(REPOSITORY, name), join(copy, name)],
    }).output();
    assert.ok(success, name);
  }
  await Deno.symlink(join(REPOSITORY, "node_modules"), join(copy, "node_modules"));
  return copy;
}

/** Something wrong, and what doctor must say of it. */
export interface Fault {
  check: string;
  subject: RegExp;
  message: RegExp;
  remedy: RegExp;
  plant: () => Promise<unknown>;
  undo: () => Promise<unknown>;
}

/** What `doctor --json` prints. */
export interface Examined {
  ok: boolean;
  checks: {
    name: string;
    state: string;
    findings: { subject: string; message: string; remedy: string }[];
  }[];
}

/**
 * Plants faults, sees that doctor names them, and takes them back.
 *
 * @param doctor ends with the code
 */
export async function plant(
  faults: readonly Fault[],
  doctor: (code: number) => Promise<Examined>,
): Promise<void> {
  const planted: Fault[] = [];
  try {
    for (const fault of faults) {
      planted.push(fault);
      await fault.plant();
    }
    const { ok, checks } = await doctor(1);
    assert.equal(ok, false);
    for (const { check, subject, message, remedy } of faults) {
      const { state, findings } = checks.find(({ name }) => name === check)!;
      assert.equal(state, "problem", check);
      const found = findings.find((finding) =>
        subject.test(finding.subject) && message.test(finding.message)
      );
      assert.ok(found, `${check}: ${JSON.stringify(findings)}`);
      assert.match(found.remedy, remedy);
    }
  } finally {
    for (const fault of planted.reverse()) await fault.undo();
  }
}
