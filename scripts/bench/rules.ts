/**
 * Figure 4: what routing costs with many rules, of which one matches.
 * @module
 */
import { compare, type Row, type Variant } from "./harness/compare.ts";
import { type Figure, type Table, target } from "./harness/figure.ts";
import { emptyQueue, INTEGRATION, registerQueue, routeAll, storeEvents } from "./harness/jobs.ts";
import { type Place, silence } from "./harness/stack.ts";

/** A way in which many rules differ from each other; `n` is their number, from 1 on. */
interface Kind {
  name: string;
  /** SQL of the rules that do not match. */
  pattern: string;
  eventTypes?: string;
  filter?: string;
  /** Rules of as many integrations, one each. */
  spread?: boolean;
}

const KINDS: Kind[] = [
  { name: "of other integrations", pattern: `'**'`, spread: true },
  { name: "of other folders", pattern: `'other-' || n || '/**'` },
  { name: "of one folder, other names", pattern: `'files/other-' || n || '*'` },
  { name: "without a beginning, other ends", pattern: `'**/*.type' || n` },
  { name: "of anything, other event types", pattern: `'**'`, eventTypes: `array['type.' || n]` },
];

/** What no index can tell apart: looked at one by one. */
const FILTERED: Kind = {
  name: "of anything, other filters",
  pattern: `'**'`,
  filter: `('$.file.id == "' || n || '"')::jsonpath`,
};

const FEW = 10;

export const figure: Figure = {
  number: 4,
  title: "rules: routing with 10, 1,000 and 100,000 rules of which one matches",
  stack: {},
  async run(bench) {
    const { place, quick } = bench;
    await silence(place);
    await registerQueue(place.sql);
    const tables: Table[] = [];
    for (const kind of KINDS) {
      tables.push(await measure(kind, quick ? [FEW, 1_000] : [FEW, 1_000, 100_000]));
    }
    const filtered = await measure(FILTERED, [FEW, quick ? 100 : 1_000]);
    filtered.targets = [];
    filtered.notes = [
      "Each filter is tried on each event: give such rules an event type or a path.",
    ];
    tables.push(filtered);
    return tables;

    async function measure(kind: Kind, sizes: number[]): Promise<Table> {
      const events = quick ? 500 : 5_000;
      const done = { routed: 0, made: 0, expected: 0 };
      const variants: Variant[] = sizes.map((size) => ({
        name: `${size.toLocaleString("en")} rules`,
        async run() {
          await makeRules(place, kind, size - 1);
          await storeEvents(place.sql, events);
          const { events: routed, jobs, ms } = await routeAll(place.sql, 500);
          done.routed += routed;
          done.made += jobs;
          done.expected += events;
          await emptyQueue(place.admin);
          return { per_second: routed / (ms / 1000), "event_µs": ms / routed * 1000 };
        },
      }));
      const rows = await compare(bench, variants, {
        rounds: quick ? 1 : 3,
        baseline: variants[0]!.name,
      });
      return {
        title: `4. Rules ${kind.name}`,
        rowsAre: `${events} events, each matched by one`,
        rows,
        checks: [
          { what: "events routed", expected: done.expected, found: done.routed },
          { what: "jobs made", expected: done.expected, found: done.made },
        ],
        targets: [target("times the cost of 10 rules ≤ 1.5", dearest(rows), { atMost: 1.5 })],
      };
    }
  },
};

/** How often the cost of the first row the last one has. */
function dearest(rows: readonly Row[]): number {
  return 1 / (rows.at(-1)?.ratio?.median ?? NaN);
}

/** Replaces all rules but the one that matches. */
async function makeRules({ sql, admin }: Place, kind: Kind, count: number): Promise<void> {
  await sql`delete from marketplace.sync_rules where name <> 'Bench'`;
  await sql`delete from marketplace.integrations where slug like 'other-%'`;
  // Row by row the triggers would look the same things up a hundred thousand times.
  await admin.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    if (kind.spread) {
      await tx`
        insert into marketplace.integrations (organization_id, slug, name, provider, category)
        select i.organization_id, 'other-' || n, 'Other ' || n, i.provider, i.category
        from marketplace.integrations as i, generate_series(1, ${count}::int) as n
        where i.slug = ${INTEGRATION}`;
    }
    const slug = kind.spread ? "'other-' || n" : `'${INTEGRATION}'`;
    await tx.unsafe(
      `insert into marketplace.sync_rules (
        organization_id, name, source_integration_id, workflow_id, source_pattern, event_types, filter
      )
      select i.organization_id, 'Rule ' || n, i.id, w.id, ${kind.pattern},
        ${kind.eventTypes ?? "'{}'"}, ${kind.filter ?? "null"}
      from generate_series(1, ${count}) as n
      join marketplace.integrations as i on i.slug = ${slug}
      join marketplace.workflows as w on w.slug = 'bench-run'`,
    );
  });
  await admin`vacuum analyze marketplace.sync_rules, marketplace.integrations`;
}
