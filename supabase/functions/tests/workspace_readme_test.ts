// The README's rules for Google Workspace, as they are printed.
import assert from "node:assert/strict";
import postgres from "postgres";
import {
  DocumentConfig,
  readConfig,
  TableConfig,
  TaskConfig,
} from "../marketplace-jobs/rule_config.ts";
import { ingest, stackEnv } from "./support_queue.ts";

const README = await Deno.readTextFile(new URL("../../../README.md", import.meta.url));

/** The SQL below a heading, block by block. */
function sqlBelow(heading: string): string[] {
  const start = README.indexOf(`\n${heading}\n`);
  assert.ok(start >= 0, `the README has no ${heading}`);
  const end = README.slice(start + 2).search(/\n#{2,3} /);
  const section = README.slice(start, end < 0 ? undefined : start + 2 + end);
  return [...section.matchAll(/^```sql\n([\s\S]*?)^```/gm)].map(([, text]) => text!);
}

const EVENTS = [
  {
    slug: "google-drive",
    type: "drive.file.changed",
    path: "files/Reports/2026/Q1.pdf",
    payload: { file: { id: "f1" } },
    rule: "Reports to the archive",
  },
  {
    slug: "google-docs",
    type: "docs.document.changed",
    path: "files/Product/Login",
    payload: { file: { id: "d1" } },
    rule: "Documents to GitHub",
  },
  {
    slug: "gmail",
    type: "gmail.message.labeled",
    path: "labels/Tasks",
    payload: { message: { id: "m1" } },
    rule: "Mails to tasks",
  },
  {
    slug: "google-sheets",
    type: "sheets.spreadsheet.changed",
    path: "files/Shop/Price list",
    payload: { file: { id: "s1" } },
    rule: "Price list to the shop",
  },
];

Deno.test("the README's Google Workspace works as printed", async () => {
  const sql = postgres(stackEnv("SUPABASE_DB_URL"), { max: 1, onnotice: () => {} });
  class Undo extends Error {}
  try {
    await assert.rejects(
      sql.begin(async (sql) => {
        const [first] = sqlBelow("## Use it");
        for (const text of [first!, ...sqlBelow("### Google Workspace")]) {
          await sql.unsafe(text);
        }
        for (const { slug, type, path, payload, rule } of EVENTS) {
          const [integration] = await sql<[{ id: string }]>`
            select id from marketplace.integrations where slug = ${slug}`;
          const [stored] = await ingest(sql, integration.id, [{ type, path, payload }]);
          const { event_id } = stored!;
          await sql`select marketplace.route_events()`;
          const jobs = await sql<{ rule: string; workflow: string; key: string }[]>`
            select r.name as rule, w.slug as workflow, j.concurrency_key as key
            from marketplace.sync_jobs as j
            join marketplace.sync_rules as r on r.id = j.rule_id
            join marketplace.workflows as w on w.id = j.workflow_id
            where j.event_id = ${event_id} and r.name = ${rule}`;
          const [key] = Object.values(payload).map(({ id }) => id);
          assert.deepEqual(jobs.map((job) => ({ ...job })), [
            { rule, workflow: "workspace-events-handler", key: jobs[0]?.key },
          ]);
          assert.ok(jobs[0]!.key.includes(key!), `${jobs[0]!.key} is not that of ${key}`);
        }
        const configs = new Map(
          (await sql<{ name: string; config: Record<string, unknown> }[]>`
            select name, config from marketplace.sync_rules`).map((rule) => [rule.name, rule]),
        );
        const rule = (name: string) => configs.get(name) as Parameters<typeof readConfig>[1];
        assert.equal(readConfig(DocumentConfig, rule("Documents to GitHub")).branch, "main");
        assert.equal(readConfig(TaskConfig, rule("Mails to tasks")).task.project_id, 4);
        assert.equal(readConfig(TableConfig, rule("Price list to the shop")).key, "sku");
        throw new Undo();
      }),
      Undo,
    );
  } finally {
    await sql.end();
  }
});
