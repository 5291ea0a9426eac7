import assert from "node:assert/strict";
import { join } from "node:path";
import settings from "../../deno.json" with { type: "json" };
import { REPOSITORY } from "../platform/layout.ts";
import {
  anchors,
  brokenLinks,
  codeSpans,
  fencedBlocks,
  findDocuments,
  linkTargets,
  readDocument,
} from "./markdown.ts";

const DOCUMENTS = findDocuments();

Deno.test("every relative link leads to a file, and every anchor to a heading", () => {
  assert.ok(DOCUMENTS.includes("README.md") && DOCUMENTS.includes(".github/SECURITY.md"));
  assert.deepEqual(DOCUMENTS.flatMap((file) => brokenLinks(file)), []);

  const planted = "[a](nowhere.md) [b](#nothing) [c](n8n/README.md#nothing) `[d](not/a/link)`";
  assert.equal(brokenLinks("README.md", planted).length, 3);
});

Deno.test("every path in a document is there", () => {
  const faults: string[] = [];
  for (const file of DOCUMENTS) {
    for (const span of codeSpans(readDocument(file))) {
      if (!/^(supabase|n8n|scripts|\.github)\/[\w./*-]+$/.test(span)) continue;
      if (!isThere(span)) faults.push(`${file}: ${span}`);
    }
  }
  assert.deepEqual(faults, []);
  assert.equal(isThere("supabase/functions/nowhere.ts"), false);
  assert.equal(isThere("supabase/migrations/*_routing.sql"), true);
});

function isThere(path: string): boolean {
  const segments = path.split("/").filter((segment) => segment !== "");
  let folders = [REPOSITORY];
  for (const segment of segments) {
    const pattern = new RegExp(
      `^${segment.replace(/[.+]/g, "\\$&").replace(/\*+/g, ".*")}$`,
    );
    folders = folders.flatMap((folder) => {
      try {
        return [...Deno.readDirSync(folder)].filter(({ name }) => pattern.test(name))
          .map(({ name }) => join(folder, name));
      } catch {
        return [];
      }
    });
  }
  return folders.length > 0;
}

Deno.test("every task that a document names exists, and every task is in a document", () => {
  const tasks = Object.keys(settings.tasks);
  const texts = DOCUMENTS.map((file) => [file, readDocument(file)] as const);
  const faults = texts.flatMap(([file, text]) =>
    [...text.matchAll(/\b(?:deno|deno@2) task ([\w:-]+)/g)]
      .filter(([, task]) => !tasks.includes(task!)).map(([, task]) => `${file}: ${task}`)
  );
  assert.deepEqual(faults, []);
  const all = texts.map(([, text]) => text).join("\n");
  assert.deepEqual(tasks.filter((task) => !all.includes(task)), []);
});

Deno.test("fences are found with their marker, wherever they are indented", () => {
  const text = [
    "## Docker",
    "<!-- not run: needs Docker -->",
    "",
    "   ```sh",
    "   docker ps",
    "     # deeper",
    "   ```",
    "```sql",
    "select 1;",
    "```",
  ].join("\n");
  assert.deepEqual(fencedBlocks("x.md", text), [
    {
      file: "x.md",
      line: 5,
      language: "sh",
      code: "docker ps\n  # deeper",
      section: "Docker",
      marker: { how: "not run", why: "needs Docker" },
    },
    { file: "x.md", line: 9, language: "sql", code: "select 1;", section: "Docker", marker: null },
  ]);
  assert.throws(() => fencedBlocks("x.md", "```sh\nnever closed"), /not closed/);
  assert.throws(() => fencedBlocks("x.md", "<!-- not today -->\n```sh\n```"), /not run: <why>/);
});

Deno.test("code, links and anchors are read as GitHub reads them", () => {
  assert.deepEqual(codeSpans("| `a \\| b` | ``c`` |\n```\n`d`\n```\n`e`"), ["a | b", "e"]);
  assert.deepEqual(linkTargets('[a](b.md#c) ![d](e.svg "f") `[g](h)`'), ["b.md#c", "e.svg"]);
  assert.deepEqual([...anchors("# A, b & `c`\n## A\n## A\n### What happens when …")], [
    "a-b--c",
    "a",
    "a-1",
    "what-happens-when-",
  ]);
});

Deno.test("every alert is explained", () => {
  const folder = join(REPOSITORY, "supabase", "migrations");
  const sql = [...Deno.readDirSync(folder)].map(({ name }) =>
    Deno.readTextFileSync(join(folder, name))
  )
    .join("\n").split("create function marketplace._alerts()")[1]!.split("$$;")[0]!;
  const names = [...sql.matchAll(/(?:'critical'|'warning'|end), '([a-z_]+)'/g)].map(([, name]) =>
    name!
  )
    .filter((name) => !name.endsWith("_"));
  assert.ok(names.includes("circuit_open") && names.length > 15, names.join());
  const faults = readDocument("supabase/faults.md");
  assert.deepEqual(names.filter((name) => !faults.includes(`\`${name}\``)), []);
});

Deno.test("the words of the glossary name what is in the schema", () => {
  const reference = readDocument("supabase/reference.md");
  const glossary = readDocument("supabase/README.md").split("## Words")[1]!.split("\n## ")[0]!;
  const missing = codeSpans(glossary).filter((span) => {
    const [, name, column] = /^([a-z_]+)(?:\.([a-z_]+)|\(…\))?$/.exec(span) ?? [];
    if (!name) return false;
    const section = reference.split(`### ${name}\n`)[1]?.split("\n### ")[0] ?? "";
    if (column) return !section.includes(`\`${column}\``);
    return section === "" && !reference.includes(`**\`${name}\`**`);
  });
  assert.deepEqual(missing, []);
  assert.ok(reference.includes("### sync_jobs\n"));
});
