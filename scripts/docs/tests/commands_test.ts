// apart: needs nothing of the running stack
/**
 * Every command, statement and example in the documents, run as a reader would: in order, against a
 * platform and a new database of its own. What a document marks as `not run` or `only --help` is
 * checked as far as that goes.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import postgres from "postgres";
import settings from "../../../deno.json" with { type: "json" };
import { bootstrapDatabase } from "../../platform/database.ts";
import { REPOSITORY, resolveLayout } from "../../platform/layout.ts";
import { findFreeBase, startStack } from "../../platform/mod.ts";
import { startPostgres, SUPERUSER } from "../../platform/postgres.ts";
import { resetHome } from "../../platform/reset_home.ts";
import { type Block, codeSpans, fencedBlocks, findDocuments, readDocument } from "../markdown.ts";

/** In the order of a first reading; the others follow. */
const FIRST = ["README.md", "scripts/README.md", "supabase/functions/README.md"];
/** Made from the schema, and without examples. */
const GENERATED = ["supabase/reference.md"];

/** Sections that are a story of their own, by the test that plays it. */
const PLAYED_BY: Record<string, string> = {
  "supabase/functions/README.md#A provider in ten minutes":
    "supabase/functions/tests/provider_walkthrough_test.ts",
  "n8n/README.md#Adding a workflow": "supabase/functions/tests/add_workflow_test.ts",
};

/** Tasks that are too long, or that are what runs this: their help is asked for. */
const ONLY_HELP = ["test", "ok", "bench", "demo", "start"];
const NPX = /npx --yes deno@2 task ([\w:-]+)([^|;&\n]*)/g;

const folder = await Deno.makeTempDir({ prefix: "marketplace-docs-" });
await Deno.chmod(folder, 0o755);
const place = { home: join(folder, "home"), port: findFreeBase() };
const stack = await startStack({ ...place, n8n: false });
const sql = postgres(stack.env.SUPABASE_DB_URL!, { max: 2, onnotice: () => {} });
// The tenant of the examples.
await sql`insert into marketplace.organizations (slug, name) values ('acme', 'Acme')`;
for (
  const [slug, provider] of [
    ["team-drive", "google_drive"],
    ["calendar", "google_calendar"],
    ["mail", "gmail"],
  ] as const
) {
  await sql`select marketplace.register_integration(${slug}, ${slug}, ${provider}, 'storage', '{}')`;
}
await sql`
  select marketplace.open_grant(
    marketplace.create_connection('mail', 'Examples', null, null, true, true, '{}'), 'oauth2', '{}',
    p_access_token => 'an-access-token'
  )
`;
const newHome = resolveLayout({ home: join(folder, "new"), port: findFreeBase() });
const newServer = await startPostgres(newHome);
await bootstrapDatabase(newServer.url(SUPERUSER));

Deno.test.afterAll(async () => {
  await sql.end();
  await newServer.stop();
  await stack.stop();
  await resetHome(resolveLayout(place));
  await resetHome(newHome);
  await Deno.remove(folder, { recursive: true });
});

const scripts = Object.fromEntries(
  Object.entries(settings.tasks).map(([task, command]) => [
    task,
    command.replace("deno run -A ", "").split(" "),
  ]),
);

/** `npx --yes deno@2 task …` as this checkout's Deno, in whatever folder it is called. */
const SHIM = `#!/usr/bin/env bash
set -euo pipefail
[ "$1 $2 $3" = "--yes deno@2 task" ] || { echo "not as in the documents: npx $*" >&2; exit 2; }
shift 3
task="$1"; shift
run() { "${Deno.execPath()}" run -A --config "${join(REPOSITORY, "deno.json")}" "$@" </dev/null; }
# Until it has said what it should, then it is ended as by Ctrl-C.
until_said() {
  local said="$1" log="$2"; shift 2
  "${Deno.execPath()}" run -A --config "${
  join(REPOSITORY, "deno.json")
}" "$@" </dev/null > "$log" 2>&1 &
  for _ in $(seq 480); do grep -q "$said" "$log" && break; sleep 0.25; done
  kill -TERM $!; wait $! || true
  cat "$log"; grep -q "$said" "$log"
}
case "$task $*" in
  "start --no-n8n"*)
    export MARKETPLACE_HOME="${join(folder, "start")}" MARKETPLACE_PORT=${findFreeBase()}
    until_said "ready in" "${join(folder, "start.log")}" "${
  join(REPOSITORY, "scripts/start.ts")
}" "$@"
    exit ;;
  "mp tail"*)
    until_said "github" "${join(folder, "tail.log")}" "${join(REPOSITORY, "scripts/mp.ts")}" "$@"
    exit ;;
  "mp doctor"*) run "${join(REPOSITORY, "scripts/mp.ts")}" "$@" || [ $? = 1 ]; exit ;;
esac
case "$task" in
${
  Object.entries(scripts).map(([task, [script, ...args]]) =>
    `  ${task}) run "${join(REPOSITORY, script!)}" ${
      ONLY_HELP.includes(task) ? "--help" : `${args.join(" ")} "$@"`
    } ;;`
  ).join("\n")
}
  *) echo "no such task: $task" >&2; exit 2 ;;
esac
`;
const bin = join(folder, "bin");
await Deno.mkdir(bin);
await Deno.writeTextFile(join(bin, "npx"), SHIM, { mode: 0o755 });

// What a reader fills in ----------------------------------------------------------------------

async function run(code: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-euo", "pipefail", "-c", code],
    cwd: folder,
    env: {
      ...stack.env,
      NEW_DB_URL: newServer.url("postgres"),
      MARKETPLACE_HOME: place.home,
      MARKETPLACE_PORT: String(place.port),
      MARKETPLACE_TOOLS: resolveLayout(place).tools,
      PATH: `${bin}:${Deno.env.get("PATH")}`,
      NO_COLOR: "1",
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.ok(success, `${code}\n${said}`);
  return said;
}

/** An event with its job, as they are after the first delivery. */
async function firstDelivery() {
  const find = () =>
    sql<{ job: string; rule: string; correlation: string }[]>`
      select j.id as job, j.rule_id as rule, j.correlation_id as correlation
      from marketplace.sync_jobs as j
      join marketplace.integrations as i on i.slug = 'github-actions'
      join marketplace.sync_rules as r on r.id = j.rule_id and r.source_integration_id = i.id
      order by j.created_at limit 1
    `;
  let [row] = await find();
  if (!row) {
    await run("npx --yes deno@2 task mp send github workflow_run");
    for (let look = 0; look < 100 && !row; look++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      [row] = await find();
    }
  }
  assert.ok(row, "the first delivery made no job");
  return row;
}

async function finishedJob(): Promise<string> {
  const { job } = await firstDelivery();
  await sql`select marketplace.cancel_job(${job}) from marketplace.sync_jobs as j
    where j.id = ${job} and j.status in ('pending', 'running')`;
  return job;
}

const VALUES: Record<string, string | (() => Promise<string>)> = {
  "<correlation id>": async () => (await firstDelivery()).correlation,
  "<id>": async () => (await firstDelivery()).correlation,
  "<job>": finishedJob,
  "<rule>": async () => (await firstDelivery()).rule,
  "<event>": async () => {
    const [row] = await sql`select id from marketplace.webhook_events limit 1`;
    return row!.id;
  },
  "<slug>": "github-actions",
  "<integration>": "github-actions",
  "<workflow>": "github-artifacts-mirror",
  "<purpose>": "webhook",
  "<project>": "abcdefghijklmnopqrst",
  "marketplace-….backup": `marketplace-$(date +%F).backup`,
};

/** What the same placeholder means in one document alone. */
const VALUES_OF: Record<string, typeof VALUES> = {
  "supabase/functions/marketplace-maintain/README.md": {
    "<id>": async () => {
      const [row] = await sql`select id from marketplace.connections where name = 'Examples'`;
      return row!.id;
    },
  },
};

/** In SQL, what is left is text between quotes, and a fault where anything else is wanted. */
async function fillIn(
  code: string,
  { file, isSql = false }: { file: string; isSql?: boolean },
): Promise<string> {
  let filled = code;
  for (const [name, value] of Object.entries({ ...VALUES, ...VALUES_OF[file] })) {
    if (!filled.includes(name)) continue;
    filled = filled.replaceAll(name, typeof value === "string" ? value : await value());
  }
  if (isSql) return filled;
  const left = /<[a-z][^>\n=]*>|[\w-]*…/.exec(filled.replace(/(#|--) .*$/gm, ""))?.[0];
  assert.equal(
    left,
    undefined,
    `What is ${left}? Give it a value in this test, or a marker there.`,
  );
  return filled;
}

// What is done with each kind -----------------------------------------------------------------

const helps = new Map<string, string>();

/** The flags of a command are those that its help names. */
async function checkFlags(task: string, args: string): Promise<void> {
  const [script] = scripts[task] ?? [];
  assert.ok(script, `there is no task ${task}`);
  let help = helps.get(task);
  if (help === undefined) {
    help = await run(
      `"${Deno.execPath()}" run -A --config "${join(REPOSITORY, "deno.json")}" "${
        join(REPOSITORY, script)
      }" --help`,
    );
    helps.set(task, help);
  }
  for (const [flag] of args.matchAll(/--[a-z][\w-]*/g)) {
    assert.ok(help.includes(flag), `${task} has no ${flag}:\n${help}`);
  }
}

async function check(block: Block): Promise<void> {
  const { file, language, code, marker } = block;
  const test = PLAYED_BY[`${file}#${block.section}`];
  if (test) {
    const played = await Deno.readTextFile(join(REPOSITORY, test));
    assert.ok(played.includes("README.md"), `${test} reads no document`);
    return;
  }
  if (marker) {
    const plain = code.replace(/<[^>\n]+>/g, "placeholder").replaceAll("…", "x")
      .replaceAll("\\\n", " ");
    if (["sh", "bash"].includes(language)) await run(`bash -n <<'END'\n${plain}\nEND`);
    if (marker.how === "not run") return;
    const commands = [...plain.matchAll(NPX)];
    assert.ok(commands.length > 0, "there is no command whose help could be asked for");
    for (const [, task, args] of commands) await checkFlags(task!, args!);
    return;
  }
  switch (language) {
    case "sh":
    case "bash":
      await run(await fillIn(code, { file }));
      return;
    case "sql":
      await sql.unsafe(await fillIn(code, { file, isSql: true })).simple();
      return;
    case "json":
      JSON.parse(code);
      return;
    case "ts":
      // With an ellipsis it is a sketch.
      if (!/^[^/]*…/m.test(code)) await compile(code);
      return;
    case "":
    case "text":
    case "mermaid":
      return;
    default:
      assert.fail(`nothing is known of how to check ${language}`);
  }
}

/** Compiles an example with what its prose takes for granted. */
async function compile(code: string): Promise<void> {
  const client = join(REPOSITORY, "supabase/functions/_shared/client");
  const file = join(REPOSITORY, "scripts", "docs", `.example_${crypto.randomUUID()}.ts`);
  await Deno.writeTextFile(
    file,
    `import type { SupabaseClient } from "@supabase/supabase-js";
import { createExecute } from "${client}/execute.ts";
import type { Database } from "${client}/database.types.ts";
declare const SUPABASE_URL: string;
declare const supabase: SupabaseClient<Database, "marketplace">;
declare const signal: AbortSignal;
export const taken = [createExecute];
{
${code}
}
`,
  );
  try {
    await run(`cd "${REPOSITORY}" && "${Deno.execPath()}" check --quiet "${file}"`);
  } finally {
    await Deno.remove(file);
  }
}

const all = findDocuments().filter((file) => !GENERATED.includes(file));
for (const file of [...FIRST, ...all.filter((file) => !FIRST.includes(file))]) {
  Deno.test(`${file} does what it says`, async (test) => {
    for (const block of fencedBlocks(file)) {
      const name = `line ${block.line}, ${block.language || "text"}${
        block.marker ? ` (${block.marker.how}: ${block.marker.why})` : ""
      }`;
      await test.step(name, () => check(block));
    }
    const text = readDocument(file);
    const statements = codeSpans(text).filter((span) =>
      /^(select|insert|update|delete)\b/.test(span) && span.includes("marketplace.")
    );
    for (const statement of statements) {
      await test.step(statement, async () => {
        const filled = await fillIn(statement, { file, isSql: true });
        // What it would change is left as it was.
        await sql.begin(async (tx) => {
          await tx.unsafe(filled);
          throw new Undone();
        }).catch((error) => {
          if (!(error instanceof Undone)) throw error;
        });
      });
    }
    // Commands in a sentence.
    for (const span of codeSpans(text)) {
      const command = /^(?:npx --yes deno@2|deno) task ([\w:-]+)(.*)$/.exec(
        span.replaceAll("…", ""),
      );
      if (command) await test.step(span, () => checkFlags(command[1]!, command[2]!));
    }
  });
}

class Undone extends Error {}
