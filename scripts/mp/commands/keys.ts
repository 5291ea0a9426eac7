/** `mp keys`: API keys of an organization's programs. */
import type { Command } from "@commander-js/extra-typings";
import { findId, period, several } from "../arguments.ts";
import { age, stateColour } from "../output.ts";
import { inSession } from "../session.ts";

interface Key {
  id: string;
  prefix: string;
  name: string;
  organization: string;
  scopes: string[];
  allowed_actions: string[];
  state: string;
  created_at: Date;
  expires_at: Date | null;
  last_used_at: Date | null;
}

/** Adds the commands. */
export function addKeys(program: Command): void {
  const group = program.command("keys").description("API keys for programs that run actions");

  group.command("ls")
    .description("the keys, without what they are")
    .option("--organization <slug>", "only this one's")
    .addHelpText("after", "\nExamples:\n  mp keys ls --organization acme")
    .action(({ organization }, command) =>
      inSession(command, async ({ out, sql }) => {
        const rows = await sql<Key[]>`
          select k.id, k.prefix, k.name, o.slug as organization, k.scopes, k.allowed_actions,
            case when k.revoked_at is not null then 'revoked'
              when k.expires_at <= now() then 'expired' else 'active' end as state,
            k.created_at, k.expires_at, k.last_used_at
          from marketplace.api_keys as k
          join marketplace.organizations as o on o.id = k.organization_id
          where ${organization ?? null}::text is null or o.slug = ${organization ?? null}
          order by k.created_at desc`;
        out.table(rows, [
          { title: "key", value: (row) => row.prefix },
          { title: "name", value: (row) => row.name, isFlexible: true },
          { title: "organization", value: (row) => row.organization, isFlexible: true },
          { title: "scopes", value: (row) => row.scopes, isFlexible: true },
          { title: "state", value: (row) => row.state, colour: stateColour },
          { title: "used", value: (row) => age(row.last_used_at), align: "right" },
          { title: "expires", value: (row) => age(row.expires_at), align: "right" },
        ], "There are no keys: mp keys create --help");
      })
    );

  group.command("create")
    .description("make a key; prints it, this once")
    .argument("<name>", "what uses it, such as nightly-report")
    .option("--organization <slug>", "whose (default: the platform's own organization)")
    .option("--scope <scopes>", "execute, read, admin (repeatable; default: execute)", several)
    .option("--action <globs>", 'only these, as "<integration>.<action>" (repeatable)', several)
    .option("--expires-in <duration>", "such as 90d (default: never)", period)
    .addHelpText(
      "after",
      "\nExamples:\n  mp keys create nightly-report --action 'gmail.messages.*' --expires-in 90d",
    )
    .action((name, { organization, scope, action, expiresIn }, command) =>
      inSession(command, async ({ out, sql }) => {
        const [made] = await sql<{ key_id: string; api_key: string }[]>`
          select * from marketplace.create_api_key(
            ${name}, ${organization ?? null}, ${scope ?? ["execute"]}, ${action ?? []},
            now() + make_interval(secs => ${expiresIn ?? null}::float8)
          )`;
        const { key_id: id, api_key: key } = made!;
        out.done(`The key, shown this once: ${key}`, { id, key });
      })
    );

  group.command("revoke")
    .description("end a key at once and for good")
    .argument("<key>", "the beginning of the key as ls prints it (mpk_…), or its id")
    .addHelpText("after", "\nExamples:\n  mp keys revoke mpk_1f3e7abc")
    .action((text, _options, command) =>
      inSession(command, async ({ out, sql }) => {
        const prefix = /^mpk_[0-9a-f]{8}/.exec(text)?.[0];
        const [known] = prefix
          ? await sql<{ id: string }[]>`
            select id from marketplace.api_keys where prefix = ${prefix}`
          : [];
        const id = known?.id ?? await findId(sql, "API key", text);
        await sql`select marketplace.revoke_api_key(${id})`;
        out.done(`${prefix ?? id} is revoked.`, { id, state: "revoked" });
      })
    );
}
