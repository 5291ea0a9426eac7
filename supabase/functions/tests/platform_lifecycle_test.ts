// apart: needs nothing of the running stack
/**
 * How a local stack starts, ends, and comes back after being killed. Each test starts stacks of its
 * own in temporary homes on free ports; none needs a running one.
 */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import postgres from "postgres";
import { REPOSITORY } from "../../../scripts/platform/layout.ts";
import { findFreeBase, type Stack, startStack } from "../../../scripts/platform/mod.ts";
import { relocatedFolder } from "../../../scripts/platform/postgres.ts";
import { commandLine, sleep } from "../../../scripts/platform/processes.ts";
import { serverUser, userCanEnter } from "../../../scripts/platform/server_user.ts";

const isRoot = Deno.uid() === 0;

interface Place {
  home: string;
  port: number;
}

/** A fresh home (in a folder that everybody may enter) and free ports, removed afterwards. */
async function inPlace(use: (place: Place) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "marketplace-test-" });
  await Deno.chmod(folder, 0o755);
  try {
    await use({ home: join(folder, "home"), port: findFreeBase() });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A command of scripts/ as a process of its own. */
class Command {
  output = "";
  readonly child: Deno.ChildProcess;
  readonly status: Promise<Deno.CommandStatus>;

  constructor(
    script: string,
    place: Place,
    options: { args?: string[]; deno?: string; env?: Record<string, string>; uid?: number } = {},
  ) {
    this.child = new Deno.Command(options.deno ?? Deno.execPath(), {
      args: ["run", "-A", join(REPOSITORY, "scripts", script), ...options.args ?? []],
      cwd: REPOSITORY,
      env: {
        MARKETPLACE_HOME: place.home,
        MARKETPLACE_PORT: String(place.port),
        NO_COLOR: "1",
        ...options.env,
      },
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const read = async (stream: ReadableStream<Uint8Array>) => {
      for await (const text of stream.pipeThrough(new TextDecoderStream())) this.output += text;
    };
    const reading = Promise.all([read(this.child.stdout), read(this.child.stderr)]);
    this.status = this.child.status.then(async (status) => {
      await reading;
      return status;
    });
  }

  /** Waits for a text; fails when the process ends without it. */
  async says(text: string): Promise<void> {
    let ended = false;
    void this.status.then(() => ended = true);
    while (!this.output.includes(text)) {
      if (ended) throw new Error(`ended without saying "${text}":\n${this.output}`);
      await sleep(20);
    }
  }
}

const startCommand = (place: Place, options?: ConstructorParameters<typeof Command>[2]) =>
  new Command("start.ts", place, { args: ["--no-n8n"], ...options });

/** Command lines of live processes that belong to a stack. */
async function processesOf({ home, port }: Place): Promise<string[]> {
  const pids = Deno.build.os === "linux"
    ? [...Deno.readDirSync("/proc")].map((entry) => Number(entry.name)).filter(Number.isInteger)
    : new TextDecoder().decode(
      (await new Deno.Command("ps", { args: ["-A", "-o", "pid="] }).output()).stdout,
    ).trim().split(/\s+/).map(Number);
  const lines = await Promise.all(pids.map(commandLine));
  return lines.filter((line): line is string =>
    line !== null && (line.includes(home) || line.includes(`127.0.0.1:${port + 1}/`))
  );
}

const exists = (path: string) => Deno.stat(path).then(() => true, () => false);

async function withSql<T>(port: number, use: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(`postgres://postgres:postgres@127.0.0.1:${port + 1}/postgres`, { max: 1 });
  try {
    return await use(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function waitUntil(holds: () => Promise<boolean>, what: string): Promise<void> {
  for (const deadline = Date.now() + 60_000; !(await holds());) {
    if (Date.now() > deadline) throw new Error(`${what}: not within 60 s`);
    await sleep(50);
  }
}

/** Whether the gateway answers as one: with the 404 of a function that is not there. */
async function answers(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/functions/v1/nobody`);
    return (await response.json()).code === "NOT_FOUND";
  } catch {
    return false;
  }
}

Deno.test("one stack a home: a second start is refused, and SIGTERM leaves nothing", () =>
  inPlace(async (place) => {
    const first = startCommand(place);
    await first.says("ready in");
    const env = join(place.home, "env");
    assert.equal((await Deno.stat(env)).mode! & 0o777, 0o600);

    const second = startCommand({ ...place, port: findFreeBase() });
    assert.equal((await second.status).code, 1);
    assert.match(second.output, new RegExp(`already running.*pid ${first.child.pid}`));
    assert.match(second.output, /deno task stop/);
    assert.ok(await answers(place.port), "the first one still runs");

    first.child.kill("SIGTERM");
    assert.equal((await first.status).code, 0, first.output);
    assert.deepEqual(await processesOf(place), []);
    assert.equal(await exists(env), false);
    assert.equal(await exists(join(place.home, "supervisor.lock")), false);
    assert.equal(await exists(join(place.home, "pgdata", "postmaster.pid")), false);
  }));

Deno.test("a killed run is recovered from, and what it had committed is there", () =>
  inPlace(async (place) => {
    const first = startCommand(place);
    await first.says("ready in");
    await withSql(place.port, (sql) => sql`create table public.kept as select 42 as answer`);
    first.child.kill("SIGKILL");
    await first.status;
    assert.ok(await exists(join(place.home, "env")), "a killed run cannot tidy up");

    const second = startCommand(place);
    await second.says("ready in");
    const rows = await withSql(place.port, (sql) => sql`select answer from public.kept`);
    assert.equal(rows[0]!.answer, 42);

    const stop = new Command("stop.ts", place);
    assert.equal((await stop.status).code, 0);
    assert.match(stop.output, new RegExp(`stopped the stack .*pid ${second.child.pid}`));
    assert.equal((await second.status).code, 0);
    assert.deepEqual(await processesOf(place), []);
  }));

Deno.test("stop ends what a killed run left behind", () =>
  inPlace(async (place) => {
    const first = startCommand(place);
    await first.says("postgres");
    first.child.kill("SIGKILL");
    await first.status;
    const stop = new Command("stop.ts", place);
    assert.equal((await stop.status).code, 0);
    assert.match(stop.output, /what a killed run left/);
    // The edge process notices by itself that its supervisor is gone.
    await waitUntil(async () => (await processesOf(place)).length === 0, "nothing is left");
  }));

Deno.test("a taken port is named, with the variable that moves the stack", () =>
  inPlace(async (place) => {
    for (const [port, part] of [[place.port, "gateway"], [place.port + 1, "Postgres"]] as const) {
      using _holder = Deno.listen({ hostname: "127.0.0.1", port });
      const start = startCommand(place);
      assert.equal((await start.status).code, 1);
      assert.match(start.output, new RegExp(`Port ${port} \\(${part}\\) is taken`));
      assert.match(start.output, /MARKETPLACE_PORT/);
      assert.deepEqual(await processesOf(place), []);
    }
  }));

Deno.test("a signal while starting leaves nothing either", () =>
  inPlace(async (place) => {
    const start = startCommand(place);
    await start.says("postgres");
    start.child.kill("SIGINT");
    assert.equal((await start.status).code, 130);
    assert.deepEqual(await processesOf(place), []);
    assert.equal(await exists(join(place.home, "supervisor.lock")), false);
  }));

Deno.test("two stacks run side by side, and killed parts come back", () =>
  inPlace((one) =>
    inPlace(async (two) => {
      const notes: string[] = [];
      const options = { n8n: false, migrate: false, note: (line: string) => notes.push(line) };
      const stacks: Stack[] = [];
      try {
        for (const place of [one, two]) stacks.push(await startStack({ ...options, ...place }));
        const [first] = stacks as [Stack, Stack];
        for (const { port } of [one, two]) assert.ok(await answers(port));

        const before = first.edgePid();
        await first.killEdge();
        assert.notEqual(first.edgePid(), before);
        assert.ok(await answers(one.port));
        assert.match(notes.at(-1)!, /edge process ended \(SIGKILL\)/);

        const pidFile = await Deno.readTextFile(join(one.home, "pgdata", "postmaster.pid"));
        Deno.kill(parseInt(pidFile, 10), "SIGKILL");
        await waitUntil(
          () => withSql(one.port, (sql) => sql`select 1`).then(() => true, () => false),
          "Postgres comes back",
        );
        assert.ok(notes.some((note) => /postgres ended \(SIGKILL\)/.test(note)));
        assert.ok(await answers(two.port));
      } finally {
        for (const stack of stacks) await stack.stop();
      }
      for (const place of [one, two]) assert.deepEqual(await processesOf(place), []);
    })
  ));

Deno.test({
  name: "root: a home and tools that nobody else may enter still work",
  ignore: !isRoot,
  fn: () =>
    inPlace(async (place) => {
      const folder = dirname(place.home);
      await Deno.chmod(folder, 0o700);
      assert.equal(await userCanEnter(await serverUser(), folder), false);
      const elsewhere = relocatedFolder(place.home);
      try {
        // A tools folder inside: the server's binaries cannot be read there either. The CLI runs
        // as root and may stay where it is.
        const tools = join(folder, "tools");
        await Deno.mkdir(tools);
        for await (const entry of Deno.readDir(sharedTools())) {
          if (!entry.name.startsWith("supabase-cli")) continue;
          await Deno.symlink(join(sharedTools(), entry.name), join(tools, entry.name));
        }
        const start = startCommand(place, { env: { MARKETPLACE_TOOLS: tools } });
        await start.says("ready in");
        assert.ok(start.output.includes(`data in ${elsewhere}`), start.output);
        assert.ok(await answers(place.port));
        const [row] = await withSql(place.port, (sql) => sql`show data_directory`);
        assert.equal(row!.data_directory, join(elsewhere, "pgdata"));
        start.child.kill("SIGTERM");
        assert.equal((await start.status).code, 0);
        assert.deepEqual(await processesOf(place), []);

        const reset = new Command("reset.ts", place);
        assert.equal((await reset.status).code, 0, reset.output);
        assert.equal(await exists(elsewhere), false);
      } finally {
        await Deno.remove(elsewhere, { recursive: true }).catch(() => {});
      }
    }),
});

const sharedTools = () => Deno.env.get("MARKETPLACE_TOOLS") || join(REPOSITORY, ".local", "tools");

Deno.test({
  name: "an ordinary user runs the server as itself",
  // Otherwise every other test here shows it already.
  ignore: !isRoot || Deno.build.os !== "linux",
  fn: () =>
    inPlace(async (place) => {
      const name = `mkt-test-${crypto.randomUUID().slice(0, 8)}`;
      const run = async (command: string, ...args: string[]) => {
        const result = await new Deno.Command(command, { args }).output();
        assert.ok(result.success, new TextDecoder().decode(result.stderr));
        return new TextDecoder().decode(result.stdout).trim();
      };
      await run("useradd", "--system", "--user-group", "--no-create-home", name);
      try {
        const uid = Number(await run("id", "-u", name));
        const user = { name, uid, gid: uid };
        if (!(await userCanEnter(user, REPOSITORY))) {
          throw new Error(`${REPOSITORY} is closed to others: test from an open folder.`);
        }
        // Some package archives carry files that only their owner may read: here that is root.
        const packages = join(REPOSITORY, "node_modules");
        const lock = ["-not", "-name", ".deno.lock*"]; // comes and goes with other processes
        const closed = ["-not", "-type", "l", "-not", "-perm", "-o=r"];
        await run(
          ...["find", packages, "-ignore_readdir_race", ...lock, ...closed] as [
            string,
            ...string[],
          ],
          ...["-exec", "chmod", "a+rX", "{}", "+"],
        );
        const folder = dirname(place.home);
        await Deno.chown(folder, uid, uid);
        // Deno itself may stand in root's own folder, and its cache does.
        const deno = join(folder, "deno");
        await Deno.copyFile(Deno.execPath(), deno);
        await Deno.chmod(deno, 0o755);
        const start = startCommand(place, { deno, uid, env: { DENO_DIR: join(folder, "cache") } });
        await start.says("ready in");
        assert.equal((await Deno.stat(join(place.home, "pgdata"))).uid, uid);
        assert.ok(await answers(place.port));
        start.child.kill("SIGTERM");
        assert.equal((await start.status).code, 0);
        assert.deepEqual(await processesOf(place), []);
      } finally {
        await run("userdel", name);
      }
    }),
});
