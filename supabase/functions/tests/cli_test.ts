// apart: needs nothing of the running stack
/**
 * `deno task mp`, as a process of its own, against a stack of its own: faults are planted here that
 * no other test should meet.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import postgres from "postgres";
import { createProgram } from "../../../scripts/mp/program.ts";
import { resolveLayout } from "../../../scripts/platform/layout.ts";
import { findFreeBase, type Stack, startStack } from "../../../scripts/platform/mod.ts";
import { resetHome } from "../../../scripts/platform/reset_home.ts";
import { command, type Examined, type Fault, plant, type Ran, run } from "./support_cli.ts";

/** A stack in a home of its own, and the command line pointed at it by that home alone. */
class Bench {
  readonly sql: postgres.Sql;

  constructor(readonly stack: Stack) {
    this.sql = postgres(this.stack.env.SUPABASE_DB_URL!, { max: 2, onnotice: () => {} });
  }

  static async open(): Promise<Bench> {
    const home = await Deno.makeTempDir({ prefix: "marketplace-test-" });
    await Deno.chmod(home, 0o755);
    return new Bench(await startStack({ home, port: findFreeBase(), n8n: false }));
  }

  async close(): Promise<void> {
    const { layout } = this.stack;
    await this.sql.end();
    await this.stack.stop();
    await resetHome(resolveLayout({ home: layout.home, port: layout.ports.gateway }));
    await Deno.remove(layout.home, { recursive: true });
  }

  async run(
    args: string[],
    options: { stdin?: string; hosted?: boolean } = {},
  ): Promise<Ran> {
    const { stdin, hosted = false } = options;
    const where = hosted ? ["--db-url", this.stack.env.SUPABASE_DB_URL!] : [];
    return await run([...where, ...args], {
      stdin,
      env: hosted ? {} : { MARKETPLACE_HOME: this.stack.layout.home },
    });
  }

  /** Runs with `--json`; fails unless it ends with the code. */
  async json<T = Record<string, unknown>>(
    args: string[],
    options: Parameters<Bench["run"]>[1] & { code?: number } = {},
  ): Promise<T> {
    const { code, out, error } = await this.run([...args, "--json"], options);
    assert.equal(code, options.code ?? 0, `mp ${args.join(" ")}: ${error}${out}`);
    return JSON.parse(out) as T;
  }

  /** Runs, and returns what it printed; fails unless it ends with 0. */
  async text(args: string[], stdin?: string): Promise<string> {
    const { code, out, error } = await this.run(args, stdin === undefined ? {} : { stdin });
    assert.equal(code, 0, `mp ${args.join(" ")}: ${error}${out}`);
    return out;
  }
}

/** Waits until a query gives a row. */
async function until<T>(what: string, find: () => Promise<T | undefined>): Promise<T> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
    const found = await find();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`It did not come about in 20 s: ${what}`);
}

type Command = ReturnType<typeof createProgram>;

/** Every command that does something, with its words. */
function leaves(): { words: string[]; command: Command }[] {
  const found: ReturnType<typeof leaves> = [];
  const visit = (parent: Command, words: string[]) => {
    for (const child of parent.commands as unknown as Command[]) {
      const path = [...words, child.name()];
      if (child.commands.length > 0) visit(child, path);
      else found.push({ words: path, command: child });
    }
  };
  visit(createProgram(), []);
  return found;
}

function helpOf(command: Command): string {
  let help = "";
  command.configureOutput({ writeOut: (text) => help += text });
  command.outputHelp();
  return help;
}

/** Commands that a real run below has covered. */
const covered = new Set<string>();
const LEFT_OUT = new Set([
  "complete", // looked at with its own test
  "n8n diff", // cli_n8n_test.ts, with n8n
  "n8n push",
  "n8n pull",
]);

Deno.test("every command explains itself, with examples, in 80 columns", async () => {
  const commands = leaves().filter(({ words }) => words[0] !== "complete");
  assert.ok(commands.length > 40);
  for (const { words, command } of commands) {
    const help = helpOf(command);
    assert.ok(help.startsWith(`Usage: mp ${words.join(" ")}`), help);
    assert.match(help, /^Examples:\n {2}\S/m, words.join(" "));
    assert.match(help, /--json/);
    for (const line of help.split("\n")) {
      assert.ok(line.length <= 100, `${words.join(" ")}: ${line}`);
    }
  }
  const { words, command } = commands[0]!;
  assert.deepEqual(await run([...words, "--help"], { env: {} }), {
    code: 0,
    out: helpOf(command),
    error: "",
  });
});

Deno.test("wrong usage ends with 2 and says what would be right", async () => {
  const env = { MARKETPLACE_HOME: "/nonexistent" };
  for (
    const [args, message] of [
      [["bogus"], /unknown command 'bogus'/],
      [["jobs"], /Usage: mp jobs/],
      [["jobs", "ls", "--limit", "none"], /whole number/],
      [["jobs", "ls", "--status", "happy"], /pending, running, completed, dead, cancelled/],
      [["trace"], /missing required argument 'id'/],
      [["status"], /deno task start.*--db-url/],
      [["--db-url", "hunter2", "status"], /Dashboard → Connect/],
    ] as const
  ) {
    const { code, out, error } = await run([...args], { env });
    assert.equal(code, 2, args.join(" "));
    assert.match(out + error, message);
    assert.ok(!(out + error).includes("hunter2"));
  }
});

Deno.test("a database that does not answer is an error of one line and its remedy", async () => {
  const dbUrl = "postgres://postgres:hunter2@127.0.0.1:1/postgres";
  const plain = await run(["--db-url", dbUrl, "status"], { env: {} });
  assert.equal(plain.code, 1);
  assert.match(plain.error, /ECONNREFUSED.*\nNothing listens there/);
  assert.ok(!plain.error.includes("hunter2") && !plain.error.includes("    at "));
  const json = await run(["--db-url", dbUrl, "status", "--json"], { env: {} });
  assert.equal(JSON.parse(json.error).error.code, "ECONNREFUSED");
});

Deno.test("shells get completions, of commands and of options' values", async () => {
  for (const shell of ["bash", "zsh", "fish", "powershell"]) {
    const { code, out } = await run(["complete", shell], { env: {} });
    assert.equal(code, 0);
    assert.match(out, /mp/);
  }
  const suggestions = async (...words: string[]) =>
    (await run(["complete", "--", ...words], { env: {} })).out;
  assert.match(await suggestions("integ"), /^integrations\t/m);
  assert.match(await suggestions("jobs", ""), /^cancel\t/m);
  assert.match(await suggestions("jobs", "ls", "--"), /^--workflow\t/m);
  assert.match(await suggestions("jobs", "ls", "--status", ""), /^running\t/m);
});

Deno.test("the command line against a stack", async (t) => {
  const bench = await Bench.open();
  const { sql, stack } = bench;
  const step = async (commands: string[], what: string, work: () => Promise<void>) => {
    for (const command of commands) covered.add(command);
    assert.ok(await t.step(what, work));
  };
  const github = { api_base: stack.env.SANDBOX_GITHUB_URL, allow_private_network: true };
  try {
    await step(
      ["integrations register", "integrations ls", "integrations show"],
      "integrations are registered, listed and shown",
      async () => {
        const { webhook_url: url } = await bench.json([
          ...["integrations", "register", "github-actions", "--provider", "github"],
          ...["--config", JSON.stringify(github)],
        ]);
        assert.equal(url, `${stack.env.MARKETPLACE_FUNCTIONS_URL}/marketplace-webhook/github`);
        for (
          const [slug, provider, base] of [
            ["archive", "aws_s3", stack.env.SANDBOX_S3_URL],
            ["slack", "slack", stack.env.SANDBOX_SLACK_URL],
          ]
        ) {
          const config = JSON.stringify({ api_base: base });
          await bench.text(
            ["integrations", "register", slug!, "--provider", provider!, "--config", config],
          );
        }
        // Registered again without --config it keeps its settings.
        await bench.text([
          ...["integrations", "register", "github-actions", "--provider", "github"],
          ...["--name", "Actions"],
        ]);
        const shown = await bench.json(["integrations", "show", "github-actions"]);
        assert.deepEqual([shown.name, shown.config], ["Actions", github]);
        const listed = await bench.json<{ slug: string }[]>(["integrations", "ls"]);
        assert.deepEqual(listed.map(({ slug }) => slug), ["archive", "github-actions", "slack"]);
        const { code, error } = await bench.run([
          "integrations",
          "register",
          "x",
          "--provider",
          "y",
        ]);
        assert.equal(code, 1);
        assert.match(error, /provider 'y' is not in the catalogue\n.*marketplace\.providers/);
      },
    );

    await step(
      ["integrations set-secret", "integrations rotate-secret", "integrations test"],
      "secrets come from a pipe, go to Vault, and are never shown",
      async () => {
        const secret = "It's a Secret to Everybody";
        const said = [
          await bench.text(["integrations", "set-secret", "github-actions", "webhook"], "former\n"),
          await bench.text(
            ["integrations", "rotate-secret", "github-actions", "webhook", "--overlap", "1h"],
            `${secret}\n`,
          ),
          await bench.text(["integrations", "show", "github-actions", "--json"]),
          await bench.text(["export"]),
        ];
        for (const text of said) assert.ok(!text.includes(secret) && !text.includes("former\n"));
        const stored = await sql`
          select marketplace._vault_read(s.vault_secret_id) as secret,
            s.valid_until is null as stays
          from marketplace.integration_secrets as s order by s.valid_from`;
        assert.deepEqual(stored.map((row) => [row.secret, row.stays]), [
          ["former", false],
          [secret, true],
        ]);
        const nothing = await bench.run(["integrations", "set-secret", "slack", "webhook"], {
          stdin: "",
        });
        assert.deepEqual([nothing.code, nothing.error.trim()], [
          2,
          "No secret was given: type it, or pipe it in.",
        ]);
        const test = async (token: string, code: number) => {
          await bench.text(["integrations", "set-secret", "github-actions", "api_token"], token);
          const { results } = await bench.json<{ results: { what: string; state: string }[] }>(
            ["integrations", "test", "github-actions"],
            { code },
          );
          return results.map(({ what, state }) => `${what} ${state}`);
        };
        assert.deepEqual(await test("wrong", 1), [
          "webhook ok",
          "provider ok",
          "credential problem",
        ]);
        assert.deepEqual(await test("sandbox-github-token", 0), [
          "webhook ok",
          "provider ok",
          "credential ok",
        ]);
      },
    );

    let ruleId = "";
    await step(
      ["rules add", "rules ls", "rules show", "rules pause", "rules resume"],
      "rules are added, listed, shown, held and freed",
      async () => {
        const add = (...args: string[]) =>
          bench.json<{ id: string }>(["rules", "add", ...args, "--source", "github-actions"]);
        ({ id: ruleId } = await add(
          "Mirror",
          "--pattern",
          "artifacts/*",
          "--destination",
          "archive",
        ));
        await add("Pushes", "--event", "push", "--filter", '$.ref like_regex "main"');
        const paused = await add("Releases", "--event", "release.*,push", "--notify", "slack");
        const listed = await bench.text(["rules", "ls"]);
        assert.match(listed, new RegExp(`^${ruleId.slice(0, 18)}  active +Mirror`, "m"));
        for (const line of listed.split("\n")) assert.ok(line.length <= 80, line);
        assert.equal(
          (await bench.json(["rules", "show", ruleId.slice(0, 18)])).destination,
          "archive",
        );
        assert.match(await bench.text(["rules", "pause", paused.id]), /0 jobs held back/);
        assert.match(await bench.text(["rules", "resume", paused.id]), /0 jobs freed/);
        await bench.text(["rules", "pause", paused.id]);
        const { code, error } = await bench.run(["rules", "add", "x", "--source", "nobody"]);
        assert.equal(code, 1);
        assert.match(error, /integration 'nobody' is not registered/);
      },
    );

    await step(
      ["workflows add", "workflows ls", "workflows pause", "workflows resume"],
      "a workflow is held, and let run whatever held it",
      async () => {
        const slug = "github-artifacts-mirror";
        const state = async () =>
          (await bench.json<{ slug: string; state: string }[]>(["workflows", "ls"]))
            .find((row) => row.slug === slug)!.state;
        await bench.text(["workflows", "pause", slug]);
        assert.equal(await state(), "paused");
        await sql`
          update marketplace.workflows
          set is_active = false, disabled_reason = 'it answered 410' where slug = ${slug}`;
        assert.equal(await state(), "disabled");
        await bench.text(["workflows", "resume", slug]);
        assert.equal(await state(), "active");
        await bench.text(["workflows", "pause", slug]); // nothing runs in what follows
        const add = ["workflows", "add", "convert", "--kind", "http"];
        await bench.text([...add, "--endpoint", "https://tasks.example.com/convert"]);
        const again = await bench.run(add);
        assert.equal(again.code, 2);
        assert.match(again.error, /Workflow convert exists/);
        await sql`delete from marketplace.workflows where slug = 'convert'`;
        assert.equal((await bench.run(["workflows", "pause", "nobody"])).code, 1);
      },
    );

    let sent = { event_id: "", correlation_id: "" };
    await step(["send"], "a sample is signed with the stored secret and accepted", async () => {
      const dry = await bench.text(["send", "github", "workflow_run", "--dry-run"]);
      assert.match(dry, /^x-hub-signature-256: sha256=[0-9a-f]{64}$/m);
      sent = await bench.json(["send", "github", "workflow_run.completed"]);
      const file = join(stack.layout.home, "push.json");
      await Deno.writeTextFile(file, '{"ref": "refs/heads/main"}');
      const push = await bench.json(["send", "github", "push", "--file", file]);
      assert.equal(push.status, 200);
      const slack = await bench.run(["send", "slack"]);
      assert.equal(slack.code, 2);
      assert.match(slack.error, /no webhook secret in Vault: mp integrations set-secret slack/);
      assert.match(await bench.text(["send", "github", "--list"]), /^release\.published$/m);
      // The URL that the database knows is enough: nothing else says where the functions are.
      const hosted = await bench.json(["send", "github", "ping"], { hosted: true });
      assert.equal(hosted.ok, true);
    });

    const jobs = await until("three jobs of the two events", async () => {
      const rows = await sql<{ id: string; name: string }[]>`
        select j.id, r.name from marketplace.sync_jobs as j
        join marketplace.sync_rules as r on r.id = j.rule_id`;
      return rows.length >= 3 ? rows : undefined;
    });
    const jobId = jobs.find(({ name }) => name === "Mirror")!.id;

    await step(
      ["events ls", "events show", "events replay", "trace"],
      "events are found by what they are, and by each of their ids",
      async () => {
        const listed = await bench.json<{ id: string; event_type: string; job_count: number }[]>(
          ["events", "ls", "--provider", "github", "--type", "workflow_run.*", "--since", "5m"],
        );
        assert.deepEqual(listed.map((row) => [row.id, row.job_count]), [[sent.event_id, 1]]);
        for (const line of (await bench.text(["events", "ls"])).split("\n")) {
          assert.ok(line.length <= 80, line);
        }
        assert.deepEqual(await bench.json(["events", "ls", "--until", "5m"]), []);
        const event = await bench.json<{ delivery: string; jobs: { id: string }[] }>(
          ["events", "show", sent.event_id.slice(0, 18)],
        );
        assert.deepEqual(event.jobs.map(({ id }) => id), [jobId]);
        for (
          const id of [sent.correlation_id.slice(0, 8), sent.event_id, jobId, event.delivery]
        ) {
          const { correlation_id, steps } = await bench.json<
            { correlation_id: string; steps: { stage: string }[] }
          >(["trace", id]);
          assert.equal(correlation_id, sent.correlation_id);
          assert.deepEqual(steps.map(({ stage }) => stage), [
            "received",
            "verified",
            "stored",
            "routed",
          ]);
        }
        assert.match(await bench.text(["trace", jobId]), /stored +workflow_run\.completed/);
        assert.equal((await bench.run(["trace", "never-heard-of"])).code, 2);
        const replay = ["events", "replay", sent.event_id, "--dry-run"];
        assert.deepEqual(await bench.json(replay), { jobs: 0, dry_run: true });
        assert.equal((await bench.run(["events", "replay"])).code, 2);
      },
    );

    await step(["rules test"], "a rule test says which rules match, and why not", async () => {
      type Tested = {
        event_type: string;
        rules: { name: string; matches: boolean; reasons: string[] }[];
      };
      const [stored] = await bench.json<Tested[]>(["rules", "test", sent.event_id]);
      const verdicts = Object.fromEntries(stored!.rules.map((each) => [each.name, each]));
      assert.deepEqual([verdicts.Mirror!.matches, verdicts.Mirror!.reasons], [
        true,
        ["its workflow is paused: its jobs wait"],
      ]);
      assert.equal(verdicts.Pushes!.matches, false);
      assert.match(verdicts.Pushes!.reasons.join(";"), /event type: push is wanted;filter: /);
      await sql`update marketplace.sync_rules set is_active = false where id = ${ruleId}`;
      const file = join(stack.layout.home, "push.json");
      const [fromFile] = await bench.json<Tested[]>(
        ["rules", "test", file, "--integration", "github-actions"],
      );
      await sql`update marketplace.sync_rules set is_active = true where id = ${ruleId}`;
      assert.equal(fromFile!.event_type, "push");
      assert.deepEqual(
        fromFile!.rules.map(({ name, matches, reasons }) => [name, matches, reasons]),
        [
          ["Mirror", false, [
            "the rule is inactive",
            "pattern: artifacts/* does not match refs/heads/main",
          ]],
          ["Pushes", true, ["its workflow is paused: its jobs wait"]],
          ["Releases", true, [
            "the rule is paused: its jobs wait",
            "its workflow is paused: its jobs wait",
          ]],
        ],
      );
    });

    await step(
      ["jobs ls", "jobs show", "jobs cancel", "jobs replay"],
      "jobs are listed, shown, cancelled and replayed, one or many",
      async () => {
        const count = async (...filter: string[]) =>
          (await bench.json<unknown[]>(["jobs", "ls", ...filter])).length;
        assert.equal(await count("--status", "pending"), 3);
        assert.equal(await count("--rule", ruleId), 1);
        assert.equal(await count("--workflow", "nobody"), 0);
        assert.equal((await bench.json(["jobs", "show", jobId])).status, "pending");
        assert.equal((await bench.run(["jobs", "cancel"])).code, 2);
        const all = ["jobs", "cancel", "--provider", "github"];
        assert.match(await bench.text([...all, "--dry-run"]), /would cancel 3 jobs/);
        assert.equal(await count("--status", "pending"), 3);
        assert.match(await bench.text(["jobs", "cancel", jobId]), /Cancelled 1 job\./);
        assert.match(await bench.text(all), /Cancelled 2 jobs\./);
        const again = ["jobs", "replay", "--status", "cancelled"];
        assert.deepEqual(await bench.json([...again, "--dry-run"]), { jobs: 3, dry_run: true });
        const { jobs: [one] } = await bench.json<{ jobs: { job: string; replay: string }[] }>(
          ["jobs", "replay", jobId],
        );
        assert.equal((await bench.json(["jobs", "show", one!.replay])).replay_of, jobId);
        await bench.json([...again, "--per-second", "5"]);
        assert.equal(await count("--status", "pending"), 3);
      },
    );

    await step(
      ["dead ls", "dead show", "dead replay"],
      "dead letters are listed, shown and replayed",
      async () => {
        assert.match(await bench.text(["dead", "ls"]), /No dead letters/);
        await sql`
          update marketplace.sync_jobs
          set status = 'dead', finished_at = now(), error_code = 'source_gone',
            error_message = 'The artifact has expired.'
          where status = 'pending' and rule_id = ${ruleId}`;
        const [dead] = await bench.json<{ job_id: string; error_code: string }[]>(
          ["dead", "ls"],
          { code: 1 },
        );
        assert.equal(dead!.error_code, "source_gone");
        assert.equal((await bench.json(["dead", "show", dead!.job_id])).status, "dead");
        const replay = ["dead", "replay", "--error", "source_gone"];
        assert.deepEqual(await bench.json([...replay, "--dry-run"]), { jobs: 1, dry_run: true });
        assert.deepEqual(await bench.json(replay), { jobs: 1, dry_run: false });
        assert.deepEqual(await bench.json(["dead", "ls"]), []);
        assert.equal((await bench.run(["dead", "replay"])).code, 2);
      },
    );

    await step(["tail"], "tail shows what was and what comes, and ends with Ctrl-C", async () => {
      const lines = (await bench.text(["tail", "--since", "10m", "--no-follow", "--json"]))
        .trim().split("\n").map((line) => JSON.parse(line));
      assert.ok(lines.some((row) => row.kind === "event" && row.id === sent.event_id));
      assert.ok(lines.some((row) => row.kind === "job" && row.state === "cancelled"));
      const child = command(["tail", "--json"], { env: { MARKETPLACE_HOME: stack.layout.home } });
      const tail = child.spawn();
      const seen: Record<string, unknown>[] = [];
      const reading = (async () => {
        let rest = "";
        for await (const text of tail.stdout.pipeThrough(new TextDecoderStream())) {
          const parts = (rest + text).split("\n");
          rest = parts.pop()!;
          seen.push(...parts.map((line) => JSON.parse(line)));
        }
      })();
      // It begins at a time that only it knows: send until it has seen one.
      const ids = new Set<unknown>();
      await until("a line of the delivery", async () => {
        ids.add((await bench.json(["send", "github", "push"])).event_id);
        return seen.find(({ id }) => ids.has(id));
      });
      tail.kill("SIGINT");
      const status = await tail.status;
      await reading;
      assert.equal(await new Response(tail.stderr).text(), "");
      assert.equal(status.code, 0);
    });

    await step(
      ["notifications ls", "notifications add", "notifications rm"],
      "notification endpoints are added, listed and removed",
      async () => {
        const made = await bench.json<{ id: string; signing_secret: string }>(
          ["notifications", "add", "https://ops.example.com/hook", "--event", "job.dead,sync.*"],
        );
        assert.match(made.signing_secret, /^whsec_/);
        const listed = await bench.text(["notifications", "ls"]);
        assert.match(listed, /job\.dead, sync\.\*/);
        await bench.text(["notifications", "rm", made.id.slice(0, 18)]);
        assert.deepEqual(await bench.json(["notifications", "ls"]), []);
      },
    );

    await step(
      ["watches ls", "watches add", "watches rm"],
      "accounts are followed, listed and left alone again",
      async () => {
        await bench.text(["integrations", "register", "team-drive", "--provider", "google_drive"]);
        await bench.text(["watches", "add", "team-drive"]);
        assert.match(await bench.text(["watches", "ls"]), /team-drive +drive\.changes/);
        const added = await bench.run(["watches", "add", "github-actions"]);
        assert.equal(added.code, 2);
        assert.match(added.error, /neither a repository nor an organization/);
        await bench.text(["watches", "rm", "team-drive"]);
        assert.deepEqual(await bench.json(["watches", "ls"]), []);
        assert.equal((await bench.run(["watches", "rm", "team-drive"])).code, 1);
        await bench.text([
          ...["integrations", "register", "uploads", "--provider", "aws_s3", "--config"],
          '{"bucket": "artifacts", "sns_topic_name": "artifacts"}',
        ]);
        await bench.text(["watches", "add", "uploads"]);
        assert.match(
          await bench.text(["watches", "ls"]),
          /uploads +s3\.bucket +artifacts +(pending|failing)/,
        );
        await bench.text(["watches", "rm", "uploads"]);
      },
    );

    await step(
      ["integrations rm"],
      "an integration goes when nothing of it is open, or at once",
      async () => {
        const removed = (slug: string, ...options: string[]) =>
          bench.json<{ state: string }>(["integrations", "rm", slug, ...options]);
        assert.equal((await removed("team-drive")).state, "removed");
        assert.equal((await removed("uploads")).state, "removing");
        const used = await bench.run(["integrations", "rm", "archive"]);
        assert.equal(used.code, 1);
        assert.match(used.error, /is used by the rules 'Mirror'/);
        assert.equal((await removed("uploads", "--force")).state, "removed");
      },
    );

    await step(
      ["keys create", "keys ls", "keys revoke", "connections ls", "quota", "alerts", "status"],
      "keys, connections, quotas, alerts and the state at a glance",
      async () => {
        const { key } = await bench.json<{ key: string }>(
          ["keys", "create", "nightly", "--scope", "execute,read", "--expires-in", "90d"],
        );
        const keys = await bench.text(["keys", "ls", "--json"]);
        assert.ok(!keys.includes(key));
        await bench.text(["keys", "revoke", key.slice(0, 12)]);
        assert.match(await bench.text(["keys", "ls"]), /nightly .* revoked/);
        assert.deepEqual(await bench.json(["connections", "ls", "--status", "error"]), []);

        await sql`select marketplace.observe_quota(
          (select id from marketplace.integrations where slug = 'github-actions'),
          'core', 5000, 0, now() + interval '30 minutes')`;
        assert.match((await bench.run(["quota"])).out, /github-actions +core +5000 +5000 +100/);
        const alerts = await bench.json<{ alert: string }[]>(["alerts"], { code: 1 });
        assert.ok(alerts.some(({ alert }) => alert === "quota"));
        await sql`delete from marketplace.api_quotas`;
        const status = await bench.json<{ status: string; integrations: unknown[] }>(["status"]);
        assert.equal(status.integrations.length, 4); // and the source of our own events
      },
    );

    await step(
      ["catalogue check", "db psql", "db dump"],
      "the catalogue is checked, and Postgres' own tools find the database",
      async () => {
        const { providers } = await bench.json<{ providers: { provider: string }[] }>(
          ["catalogue", "check", "github"],
        );
        assert.deepEqual(providers.map(({ provider }) => provider), ["github"]);
        for (
          const [args, expected] of [
            [["db", "psql", "--", "-Atc", "select count(*) from organizations"], /^1$/m],
            [["db", "dump", "--", "--schema-only", "--table=marketplace.settings"], /CREATE TABLE/],
          ] as const
        ) {
          // A machine without Postgres' client is told so; one with an older pg_dump by pg_dump.
          const { code, out, error } = await bench.run([...args]);
          if (code === 0) assert.match(out, expected);
          else assert.match(error, /is not installed|server version mismatch/);
        }
      },
    );

    await step(
      ["export", "import"],
      "exported configuration, brought into a fresh database, is the same there",
      async () => {
        await bench.text([
          "notifications",
          "add",
          "https://ops.example.com/x",
          "--event",
          "job.dead",
        ]);
        await sql`insert into marketplace.organizations (slug, name) values ('acme', 'Acme')`;
        await bench.text([
          ...["integrations", "register", "github-acme", "--provider", "github"],
          ...["--organization", "acme"],
        ]);
        await sql`update marketplace.settings set event_retention = '14 days'`;
        const file = join(stack.layout.home, "configuration.json");
        await bench.text(["export", file]);
        const exported = await Deno.readTextFile(file);
        assert.equal(await bench.text(["export"]), exported);
        assert.match(await bench.text(["import", file]), /Nothing to do/);

        const fresh = await Bench.open();
        try {
          const dry = await fresh.run(["import", file, "--dry-run"]);
          assert.equal(dry.code, 1);
          assert.match(dry.out, /^\+ rules {2}github-actions: Mirror$/m);
          assert.match(dry.out, /event_retention: 30 days → 14 days/);
          const { secrets } = await fresh.json<{ secrets: { url: string }[] }>(["import", file]);
          assert.deepEqual(secrets.map(({ url }) => url), ["https://ops.example.com/x"]);
          assert.equal(await fresh.text(["export"]), exported);
          assert.match(await fresh.text(["import", file, "--dry-run"]), /Nothing to do/);

          // Half of it is none of it.
          const broken = JSON.parse(exported);
          broken.organizations[0].name = "Changed";
          broken.rules[0].workflow = "nobody";
          await Deno.writeTextFile(file, JSON.stringify(broken));
          const refused = await fresh.run(["import", file]);
          assert.equal(refused.code, 1);
          assert.match(refused.error, /names workflow nobody, which does not exist/);
          assert.equal(await fresh.text(["export"]), exported);
          broken.rules[0].wrkflow = "x";
          await Deno.writeTextFile(file, JSON.stringify(broken));
          assert.equal((await fresh.run(["import", file])).code, 2);
        } finally {
          await fresh.close();
        }
      },
    );

    await step(
      ["doctor"],
      "doctor names each planted fault, and nothing once it is gone",
      async () => {
        // There is no n8n that would carry them out.
        await sql`delete from marketplace.sync_jobs`;
        await bench.text(["workflows", "resume", "github-artifacts-mirror"]);
        await bench.text([
          "rules",
          "resume",
          (await bench.json<{ id: string; name: string }[]>(
            ["rules", "ls"],
          )).find(({ name }) => name === "Releases")!.id,
        ]);
        const well = await bench.run(["doctor", "--quiet"]);
        assert.equal(well.code, 0, well.out);
        for (const { faults, hosted = false } of faultsByRun(bench)) {
          await plant(faults, async (code) => {
            const examined = await bench.json<Examined>(["doctor"], { hosted, code });
            // Each is found for itself, not for what another one causes.
            assert.deepEqual(
              new Set(examined.checks.filter(({ state }) => state === "problem").map(nameOf)),
              new Set(faults.map(({ check }) => check)),
              JSON.stringify(examined),
            );
            return examined;
          });
        }
        const again = await bench.run(["doctor", "--quiet"]);
        assert.equal(again.code, 0, again.out);
      },
    );

    const missing = leaves().map(({ words }) => words.join(" "))
      .filter((command) => !covered.has(command) && !LEFT_OUT.has(command));
    assert.deepEqual(missing, [], "commands without a real run");
  } finally {
    await bench.close();
  }
});

const nameOf = ({ name }: { name: string }) => name;

/** Faults for doctor to find, those together that do not touch each other; as `hosted` by URL. */
function faultsByRun(bench: Bench): { faults: Fault[]; hosted?: boolean }[] {
  const all = faults(bench);
  const together: Fault[][] = [];
  for (const fault of all.filter(({ check }) => !ALONE.has(check))) {
    const free = together.find((group) => group.every(({ check }) => check !== fault.check));
    if (free) free.push(fault);
    else together.push([fault]);
  }
  return [
    ...together.map((group) => ({ faults: group })),
    ...all.filter(({ check }) => ALONE.has(check))
      .map((fault) => ({ faults: [fault], hosted: fault.check === "functions_reachable" })),
  ];
}

/** What follows from the functions' URL. */
const ALONE = new Set(["functions_url", "functions_reachable", "rings"]);

function faults({ sql, stack }: Bench): Fault[] {
  const functionsUrl = stack.env.MARKETPLACE_FUNCTIONS_URL!;
  const configure = (url: string) => sql`select marketplace.configure_platform(${url})`;
  const silent = `http://127.0.0.1:${stack.layout.ports.n8n}`; // n8n was not started
  const mirror = sql`slug = 'github-artifacts-mirror'`;
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10).replaceAll("-", "");
  const ring = () =>
    until("an answer to the ring", async () => {
      const [row] = await sql`
        select from marketplace.dispatcher_state as d
        join net._http_response as r on r.id = d.ring_request_id`;
      return row;
    });
  return [
    {
      check: "webhook_secrets",
      subject: /^github-actions$/,
      message: /has no webhook secret/,
      remedy: /mp integrations set-secret github-actions webhook/,
      plant: () => sql`delete from marketplace.integration_secrets where purpose = 'webhook'`,
      undo: () =>
        sql`select marketplace.set_integration_secret('github-actions', 'webhook', 'another')`,
    },
    {
      check: "functions_url",
      subject: /functions URL/,
      message: /not configured/,
      remedy: /configure_platform/,
      plant: () => sql`delete from vault.secrets where name = 'marketplace_functions_url'`,
      undo: () => configure(functionsUrl),
    },
    {
      check: "functions_reachable",
      subject: /marketplace-webhook/,
      message: /http:\/\/127\.0\.0\.1:\d+\/functions.* cannot be reached/,
      remedy: /deno task deploy/,
      plant: () => configure(`${silent}/functions/v1`),
      undo: () => configure(functionsUrl),
    },
    {
      check: "rings",
      subject: /marketplace-dispatch/,
      message: /status 404/,
      remedy: /deployed/,
      plant: async () => {
        await configure(`${functionsUrl}/nowhere`);
        await sql`select marketplace.ring_dispatch()`;
        await ring();
      },
      undo: async () => {
        await configure(functionsUrl);
        await sql`select marketplace.ring_dispatch()`;
        await ring();
      },
    },
    {
      check: "cron",
      subject: /^marketplace_retention$/,
      message: /is not scheduled/,
      remedy: /^select marketplace\._schedule\('marketplace_retention'/,
      plant: () => sql`select cron.unschedule('marketplace_retention')`,
      undo: () =>
        sql`select marketplace._schedule('marketplace_retention', '*/10 * * * *', null,
          'select marketplace.apply_retention()')`,
    },
    {
      check: "cron",
      subject: /^marketplace_partitions$/,
      message: /has not run for 5 h/,
      remedy: /pg_cron's worker/,
      plant: async () => {
        await sql`delete from cron.job_run_details as d using cron.job as j
          where j.jobid = d.jobid and j.jobname = 'marketplace_partitions'`;
        await sql`update marketplace.organizations set created_at = now() - interval '5 hours'`;
      },
      undo: () => sql`update marketplace.organizations set created_at = now()`,
    },
    {
      check: "workflows",
      subject: /^github-artifacts-mirror$/,
      message: /is paused since/,
      remedy: /mp workflows resume github-artifacts-mirror/,
      plant: () => sql`update marketplace.workflows set paused_at = now() where ${mirror}`,
      undo: () => sql`update marketplace.workflows set paused_at = null where ${mirror}`,
    },
    {
      check: "workflows",
      subject: /^github-artifacts-mirror$/,
      message: /circuit is open: 5 dispatches failed/,
      remedy: /mp jobs ls --workflow github-artifacts-mirror/,
      plant: () =>
        sql`update marketplace.workflows set breaker_state = 'open', breaker_failures = 5,
          breaker_until = now() + interval '1 minute' where ${mirror}`,
      undo: () =>
        sql`update marketplace.workflows set breaker_state = 'closed', breaker_failures = 0,
          breaker_until = null where ${mirror}`,
    },
    {
      check: "workflows",
      subject: /^github-artifacts-mirror$/,
      message: /is disabled: it answered 410/,
      remedy: /mp workflows resume/,
      plant: () =>
        sql`update marketplace.workflows set is_active = false,
          disabled_reason = 'it answered 410' where ${mirror}`,
      undo: () =>
        sql`update marketplace.workflows set is_active = true, disabled_reason = null where ${mirror}`,
    },
    {
      check: "rules",
      subject: /^Mirror$/,
      message: /is paused since/,
      remedy: /mp rules resume/,
      plant: () => sql`update marketplace.sync_rules set paused_at = now() where name = 'Mirror'`,
      undo: () => sql`update marketplace.sync_rules set paused_at = null where name = 'Mirror'`,
    },
    {
      check: "partitions",
      subject: new RegExp(`^webhook_events_${tomorrow}$`),
      message: /does not exist/,
      remedy: /ensure_partitions/,
      plant: () => sql.unsafe(`drop table marketplace.webhook_events_${tomorrow}`),
      undo: () => sql`select marketplace.ensure_partitions()`,
    },
    {
      check: "dead_letters",
      subject: /^github-artifacts-mirror$/,
      message: /2 dead with quota_spent; the latest: No space/,
      remedy: /mp dead replay --error quota_spent/,
      plant: () =>
        sql`insert into marketplace.sync_jobs
            (organization_id, rule_id, workflow_id, status, finished_at, error_code, error_message)
          select r.organization_id, r.id, r.workflow_id, 'dead', now(), 'quota_spent', 'No space'
          from marketplace.sync_rules as r, generate_series(1, 2) where r.name = 'Mirror'`,
      undo: () => sql`delete from marketplace.sync_jobs where status = 'dead'`,
    },
    {
      check: "waiting",
      subject: /^github-artifacts-mirror$/,
      message: /has waited 6\d\d s/,
      remedy: /mp workflows ls/,
      // Planted together with the workflow's pause: nobody takes it meanwhile.
      plant: () =>
        sql`insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, run_at)
          select r.organization_id, r.id, r.workflow_id, now() - interval '10 minutes'
          from marketplace.sync_rules as r where r.name = 'Mirror'`,
      undo: () => sql`delete from marketplace.sync_jobs where status = 'pending'`,
    },
    {
      check: "tokens",
      subject: /^github-actions$/,
      message: /Its api_token secret ends in 24 h/,
      remedy: /mp integrations set-secret github-actions api_token/,
      plant: async () => {
        await sql`select marketplace.set_integration_secret('github-actions', 'api_token', 'x')`;
        await sql`update marketplace.integration_secrets set valid_until = now() + interval '1 day'
          where purpose = 'api_token'`;
      },
      undo: () => sql`delete from marketplace.integration_secrets where purpose = 'api_token'`,
    },
    {
      check: "integrations",
      subject: /^slack$/,
      message: /is unhealthy: token revoked/,
      remedy: /mp integrations test slack/,
      plant: () =>
        sql`update marketplace.integrations set health_status = 'unhealthy',
          error_message = 'token revoked' where slug = 'slack'`,
      undo: () =>
        sql`update marketplace.integrations set health_status = 'healthy', error_message = null
          where slug = 'slack'`,
    },
    {
      check: "rejections",
      subject: /^stripe$/,
      message: /4 refused in the last hour: invalid_signature, none accepted/,
      remedy: /Another secret/,
      plant: () =>
        sql`select marketplace.count_rejections(
          '[{"provider": "stripe", "reason": "invalid_signature", "count": 4}]')`,
      undo: () => sql`delete from marketplace.webhook_rejections where provider = 'stripe'`,
    },
    {
      check: "quotas",
      subject: /^github-actions$/,
      message: /100 % of core is spent/,
      remedy: /rate_per_second/,
      plant: () =>
        sql`select marketplace.observe_quota(
          (select id from marketplace.integrations where slug = 'github-actions'),
          'core', 5000, 0, now() + interval '30 minutes')`,
      undo: () => sql`delete from marketplace.api_quotas`,
    },
    {
      check: "migrations",
      subject: /_foundation\.sql$/,
      message: /is not applied/,
      remedy: /db:push/,
      plant: () =>
        sql`update supabase_migrations.schema_migrations set version = '19990101000000'
          where version = '20260101000100'`,
      undo: () =>
        sql`update supabase_migrations.schema_migrations set version = '20260101000100'
          where version = '19990101000000'`,
    },
    {
      check: "anon_grants",
      subject: /^sync_jobs$/,
      message: /anon has SELECT/,
      remedy: /revoke all on marketplace\.sync_jobs from anon/,
      plant: () => sql`grant select (id) on marketplace.sync_jobs to anon`,
      undo: () => sql`revoke select (id) on marketplace.sync_jobs from anon`,
    },
    {
      check: "row_security",
      subject: /^destination_folders$/,
      message: /no row level security/,
      remedy: /enable row level security/,
      plant: () => sql`alter table marketplace.destination_folders disable row level security`,
      undo: () => sql`alter table marketplace.destination_folders enable row level security`,
    },
  ];
}
