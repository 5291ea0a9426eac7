/** `mp integrations`: configured providers, and their secrets on the way in. */
import type { Command } from "@commander-js/extra-typings";
import { jsonObject, period } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import { age, cell, paint, stateColour } from "../output.ts";
import type { Place } from "../place.ts";
import { readSecret } from "../secret.ts";
import { inSession, type Sql } from "../session.ts";
import { functionsUrl, webhookUrl } from "../webhook_url.ts";

interface Integration {
  id: string;
  slug: string;
  name: string;
  provider: string;
  organization: string;
  status: string;
  health_status: string;
  health_checked_at: Date | null;
  error_message: string | null;
  is_default: boolean;
  base_url: string | null;
  health_action: string | null;
  config: Record<string, unknown>;
}

/** Adds the commands. */
export function addIntegrations(program: Command): void {
  const group = program.command("integrations").description(
    "configured providers and their secrets",
  );

  group.command("ls")
    .description("the integrations and which secrets they have")
    .option("--provider <slug>", "only this provider's")
    .addHelpText("after", "\nExamples:\n  mp integrations ls --provider github")
    .action(({ provider }, command) =>
      inSession(command, async ({ out, sql }) => {
        const rows = await sql<(Omit<Integration, "config"> & { secrets: string[] })[]>`
          select i.id, i.slug, i.name, i.provider, o.slug as organization, i.status,
            i.health_status, i.health_checked_at, i.error_message, i.is_default,
            coalesce(nullif(i.config ->> 'api_base', ''), p.base_url) as base_url,
            array(
              select distinct s.purpose from marketplace.integration_secrets as s
              where s.integration_id = i.id and (s.valid_until is null or s.valid_until > now())
              order by 1
            ) as secrets
          from marketplace.integrations as i
          join marketplace.providers as p on p.slug = i.provider
          join marketplace.organizations as o on o.id = i.organization_id
          where ${provider?.replaceAll("-", "_") ?? null}::text is null
            or i.provider = ${provider?.replaceAll("-", "_") ?? null}
          order by i.slug`;
        out.table(rows, [
          { title: "integration", value: (row) => row.slug, isFlexible: true },
          { title: "provider", value: (row) => row.provider, isFlexible: true },
          { title: "status", value: (row) => row.status, colour: stateColour },
          { title: "health", value: (row) => row.health_status, colour: stateColour },
          { title: "default", value: (row) => row.is_default ? "yes" : "" },
          { title: "secrets", value: (row) => row.secrets, isFlexible: true },
        ], "No integration is registered: mp integrations register --help");
      })
    );

  group.command("show")
    .description("one integration with its settings, webhook URL and names of secrets")
    .argument("<slug>", "integration")
    .addHelpText("after", "\nExamples:\n  mp integrations show github-actions")
    .action((slug, _options, command) =>
      inSession(command, async ({ out, sql, place }) => {
        const { id, health_action: _, ...integration } = await find(sql, slug);
        const base = await functionsUrl(sql, place);
        const secrets = await sql<
          { purpose: string; valid_from: Date; valid_until: Date | null }[]
        >`
          select purpose, valid_from, valid_until from marketplace.integration_secrets
          where integration_id = ${id} order by purpose, valid_from desc`;
        const rules = await sql<{ id: string; name: string }[]>`
          select id, name from marketplace.sync_rules
          where ${id} in (source_integration_id, destination_integration_id, notify_integration_id)
          order by name`;
        out.record({
          ...integration,
          webhook_url: base ? webhookUrl(base, integration) : "unknown: see mp doctor",
          secrets: out.json
            ? secrets
            : secrets.map(({ purpose, valid_until }) =>
              valid_until ? `${purpose} (ends in ${age(valid_until)})` : purpose
            ).join("\n"),
          rules: out.json ? rules : rules.map((rule) => `${rule.id} ${rule.name}`).join("\n"),
        });
      })
    );

  group.command("register")
    .description("add an integration, or change its name, category and settings")
    .argument("<slug>", "its name in URLs and commands, such as github-acme")
    .requiredOption("--provider <slug>", "what it is of: mp catalogue check lists the known ones")
    .option("--name <name>", "for people (default: the provider's)")
    .option("--category <category>", "default: the provider's")
    .option("--config <json>", "settings as JSON, or @file.json; never secrets", jsonObject)
    .option("--organization <slug>", "whose (default: the platform's own organization)")
    .addHelpText(
      "after",
      "\nExamples:\n  mp integrations register archive --provider aws_s3 \\\n" +
        `    --config '{"region": "eu-central-1", "bucket": "artifacts"}'`,
    )
    .action((slug, options, command) =>
      inSession(command, async ({ out, sql, place }) => {
        const provider = options.provider.replaceAll("-", "_");
        const [known] = await sql<{ name: string; category: string; config: object | null }[]>`
          select p.name, p.category,
            (select i.config from marketplace.integrations as i where i.slug = ${slug}) as config
          from marketplace.providers as p where p.slug = ${provider}`;
        const { name = known?.name ?? "", category = known?.category ?? "", organization } =
          options;
        // Without --config an integration that exists keeps its settings.
        const config = options.config ?? known?.config ?? {};
        const [row] = await sql<{ id: string }[]>`
          select marketplace.register_integration(
            ${slug}, ${name}, ${provider}, ${category}, ${JSON.stringify(config)}::text::jsonb,
            ${organization ?? null}
          ) as id`;
        const base = await functionsUrl(sql, place);
        const url = base ? webhookUrl(base, await find(sql, slug)) : null;
        out.done(
          `${slug} is registered.${url ? `\nIts webhooks go to ${url}` : ""}\n` +
            `Its secrets: mp integrations set-secret ${slug} webhook`,
          { id: row!.id, slug, webhook_url: url },
        );
      })
    );

  group.command("rm")
    .description("close what it has open at its provider, then delete it with its secrets")
    .argument("<slug>", "integration")
    .option("--force", "delete it and its rules at once; what is open at the provider stays")
    .addHelpText("after", "\nExamples:\n  mp integrations rm archive")
    .action((slug, { force = false }, command) =>
      inSession(command, async ({ out, sql }) => {
        await find(sql, slug);
        const [row] = await sql<{ state: "removed" | "removing" }[]>`
          select marketplace.remove_integration(${slug}, ${force}) as state`;
        const { state } = row!;
        out.done(
          state === "removed"
            ? `${slug} is removed.`
            : `${slug} is switched off, and goes when its channels and webhooks are closed: mp watches ls`,
          { integration: slug, state },
        );
      })
    );

  group.command("set-secret")
    .description("store a secret in Vault and drop the former ones of that purpose")
    .argument("<slug>", "integration")
    .argument("<purpose>", "webhook, api_token, client_id, client_secret, refresh_token, …")
    .addHelpText(
      "after",
      "\nThe secret is read from standard input, or typed without an echo.\n" +
        "\nExamples:\n  mp integrations set-secret github-actions webhook\n" +
        "  pass show github/token | mp integrations set-secret github-actions api_token",
    )
    .action((slug, purpose, _options, command) =>
      inSession(command, async ({ out, sql }) => {
        await find(sql, slug);
        const secret = await readSecret(`${purpose} secret of ${slug}`);
        await sql`select marketplace.set_integration_secret(${slug}, ${purpose}, ${secret})`;
        out.done(`The ${purpose} secret of ${slug} is stored.`, { integration: slug, purpose });
      })
    );

  group.command("rotate-secret")
    .description("store a new secret; the former ones stay valid for a while")
    .argument("<slug>", "integration")
    .argument("<purpose>", "webhook, api_token, …")
    .option("--overlap <duration>", "how long the former ones stay valid", period, 86_400)
    .addHelpText(
      "after",
      "\nThe secret is read from standard input, or typed without an echo.\n" +
        "\nExamples:\n  openssl rand -hex 32 | tee /dev/tty | \\\n" +
        "    mp integrations rotate-secret github-actions webhook --overlap 1h",
    )
    .action((slug, purpose, { overlap }, command) =>
      inSession(command, async ({ out, sql }) => {
        await find(sql, slug);
        const secret = await readSecret(`new ${purpose} secret of ${slug}`);
        await sql`
          select marketplace.rotate_integration_secret(
            ${slug}, ${purpose}, ${secret}, make_interval(secs => ${overlap}))`;
        const until = new Date(Date.now() + overlap * 1000);
        out.done(
          `The new ${purpose} secret of ${slug} is stored; former ones end in ${age(until)}.`,
          { integration: slug, purpose, former_valid_until: until },
        );
      })
    );

  group.command("test")
    .description("whether an integration can receive and be reached; 1 when not")
    .argument("<slug>", "integration")
    .addHelpText("after", "\nExamples:\n  mp integrations test github-actions")
    .action((slug, _options, command) =>
      inSession(command, async ({ out, sql, place }) => {
        const results = await test(sql, place, await find(sql, slug));
        const isWell = results.every(({ state }) => state !== "problem");
        if (out.json) out.document({ ok: isWell, integration: slug, results });
        else {
          for (const { what, state, message } of results) {
            const mark = state === "ok" ? paint.green : state === "problem" ? paint.red : paint.dim;
            out.line(`${mark(state.padEnd(7))}  ${what.padEnd(10)} ${cell(message)}`);
          }
        }
        return isWell ? 0 : 1;
      })
    );
}

async function find(sql: Sql, slug: string): Promise<Integration> {
  const [found] = await sql<Integration[]>`
    select i.id, i.slug, i.name, i.provider, o.slug as organization, i.status, i.health_status,
      i.health_checked_at, i.error_message, i.is_default, i.config, p.health_action,
      coalesce(nullif(i.config ->> 'api_base', ''), p.base_url) as base_url
    from marketplace.integrations as i
    join marketplace.providers as p on p.slug = i.provider
    join marketplace.organizations as o on o.id = i.organization_id
    where i.slug = ${slug}`;
  if (found) return found;
  throw new UsageError(`Integration ${slug} is not registered: mp integrations ls lists them.`);
}

interface TestResult {
  what: "status" | "webhook" | "provider" | "credential";
  state: "ok" | "problem" | "skipped";
  message: string;
}

async function test(sql: Sql, place: Place, integration: Integration): Promise<TestResult[]> {
  const { slug, status, base_url: baseUrl } = integration;
  if (status === "inactive") {
    return [{ what: "status", state: "problem", message: "The integration is inactive." }];
  }
  const { receivingFindings, receivingIntegrations } = await import(
    "../doctor/integration_checks.ts"
  );
  const [receiving] = await receivingIntegrations(sql, slug);
  const refused = receiving && receivingFindings(receiving)[0];
  const webhook: TestResult = !receiving
    ? { what: "webhook", state: "skipped", message: "Its provider sends no webhooks." }
    : refused
    ? {
      what: "webhook",
      state: refused.isNote ? "skipped" : "problem",
      message: `${refused.message} ${refused.remedy}`,
    }
    : { what: "webhook", state: "ok", message: "Deliveries can be verified: mp send tries one." };
  return [
    webhook,
    baseUrl
      ? await knock(baseUrl)
      : { what: "provider", state: "skipped", message: "It has no base URL." },
    await runHealthAction(sql, place, integration),
  ];
}

async function knock(url: string): Promise<TestResult> {
  try {
    const response = await fetch(url, {
      method: "HEAD",
      redirect: "manual",
      signal: AbortSignal.timeout(10_000),
    });
    return { what: "provider", state: "ok", message: `${url} answers (${response.status}).` };
  } catch (error) {
    const message = `${url} cannot be reached from here: ${(error as Error).message}`;
    return { what: "provider", state: "problem", message };
  }
}

/** Runs the provider's health action with the integration's own credential, through the gateway. */
async function runHealthAction(
  sql: Sql,
  place: Place,
  { slug, health_action: action }: Integration,
): Promise<TestResult> {
  const skipped = (message: string): TestResult => ({
    what: "credential",
    state: "skipped",
    message,
  });
  if (!action) return skipped("Its provider has no action that would prove it.");
  if (!place.secretKey) return skipped("SUPABASE_SECRET_KEY is not set: the gateway asks for it.");
  const base = await functionsUrl(sql, place);
  if (!base) return skipped("The functions' URL is not configured.");
  const response = await fetch(`${base}/marketplace-execute`, {
    method: "POST",
    headers: { authorization: `Bearer ${place.secretKey}`, "content-type": "application/json" },
    body: JSON.stringify({ integration: slug, action, parameters: {} }),
    signal: AbortSignal.timeout(40_000),
  }).catch((error: Error) => error);
  if (response instanceof Error) {
    return skipped(`The gateway cannot be reached: ${response.message}`);
  }
  const answer = await response.json().catch(() => null) as
    | { error?: { code?: string; message?: string } }
    | null;
  if (response.ok) return { what: "credential", state: "ok", message: `${action} succeeded.` };
  const said = answer?.error?.message ?? `status ${response.status}`;
  if (response.status === 401) return skipped(`The gateway does not take this key: ${said}`);
  return { what: "credential", state: "problem", message: `${action} failed: ${said}` };
}
