/** `mp send`: a signed sample delivery, as the provider would send it. */
import type { Command } from "@commander-js/extra-typings";
import { UsageError } from "../errors.ts";
import { cell, paint } from "../output.ts";
import { inSession } from "../session.ts";
import { functionsUrl, webhookUrl } from "../webhook_url.ts";

interface Target {
  slug: string;
  provider: string;
  is_default: boolean;
  webhook_config: Record<string, unknown>;
  secret: string | null;
}

/** Adds the command. */
export function addSend(program: Command): void {
  program.command("send")
    .description("a signed sample delivery to the webhook URL; 1 when it is refused")
    .argument("<provider>", "such as github")
    .argument("[event]", "such as workflow_run.completed (default: the provider's first sample)")
    .option(
      "--integration <slug>",
      "whose webhook and secret (default: the provider's default one)",
    )
    .option("--file <path>", "send this body instead of the sample's")
    .option(
      "--header <name:value>",
      "add a header (repeatable)",
      (text, all: string[] = []) => [...all, text],
    )
    .option("--list", "list the events there are samples of")
    .option("--dry-run", "print what would be sent; shared secrets are left out")
    .addHelpText(
      "after",
      "\nExamples:\n  mp send github workflow_run\n  mp send slack app_mention --dry-run\n" +
        "  mp send github push --file payload.json --integration github-acme",
    )
    .action((name, event, options, command) =>
      inSession(command, async ({ out, sql, place }) => {
        const { composeDelivery, proveDelivery, readWebhookConfig } = await import(
          "../samples/delivery.ts"
        );
        const provider = name.replaceAll("-", "_");
        if (options.list) {
          const { sampleEvents } = await import("../samples/providers.ts");
          const events = await sampleEvents(provider);
          return out.table(events.map((event) => ({ event })), [
            { title: "event", value: (row) => row.event },
          ], "");
        }
        const [target] = await sql<Target[]>`
          select config ->> 'integration_slug' as slug, config ->> 'provider' as provider,
            (config ->> 'is_default')::boolean as is_default,
            config -> 'webhook_config' as webhook_config,
            (
              select s ->> 'secret' from jsonb_array_elements(config -> 'secrets') as s
              where (s ->> 'valid_from')::timestamptz <= now() limit 1
            ) as secret
          from marketplace.webhook_config(${provider}, ${options.integration ?? null}) as config
          where config is not null`;
        if (!target) {
          throw new UsageError(
            options.integration
              ? `Provider ${provider} has no integration ${options.integration}: mp integrations ls`
              : `Provider ${provider} is not in the catalogue: mp catalogue check lists them.`,
          );
        }
        if (!target.slug) {
          throw new UsageError(
            `No default integration of ${provider} is registered: mp integrations register --help`,
          );
        }
        const config = readWebhookConfig(target.webhook_config);
        if (!target.secret) {
          throw new UsageError(
            `Integration ${target.slug} has no webhook secret in Vault: ` +
              `mp integrations set-secret ${target.slug} webhook`,
          );
        }
        const base = await functionsUrl(sql, place);
        if (!base) {
          throw new UsageError(
            "The functions' URL is not configured: select marketplace.configure_platform('https://…')",
          );
        }
        const delivery = await composeDelivery({
          provider,
          event,
          body: options.file ? await readBody(options.file) : undefined,
          headers: readHeaders(options.header),
        });
        const endpoint = { url: webhookUrl(base, target), secret: target.secret };
        const { signed, scheme } = await proveDelivery(delivery, config, endpoint);
        if (options.dryRun) {
          const headers = Object.fromEntries(signed.headers);
          if (scheme.family === "token") headers[scheme.header] = `${scheme.prefix}***`;
          if (out.json) return out.document({ method: "POST", ...signed, headers });
          out.line(paint.bold(`POST ${signed.url}`));
          for (const [header, value] of Object.entries(headers)) {
            out.line(`${paint.dim(header)}: ${cell(value)}`);
          }
          out.line(`\n${signed.body}`);
          return;
        }
        const began = performance.now();
        const response = await fetch(signed.url, {
          method: "POST",
          headers: signed.headers,
          body: signed.body,
          redirect: "manual",
          signal: AbortSignal.timeout(30_000),
        }).catch((error: Error) => {
          throw new Error(`${signed.url} cannot be reached: ${error.message}. See mp doctor.`);
        });
        const text = await response.text();
        const took = Math.round(performance.now() - began);
        let answer: Record<string, unknown> | null = null;
        try {
          answer = JSON.parse(text);
        } catch {
          // Some providers are answered with what they understand, which is not JSON.
        }
        const [stored] = answer?.correlation_id ? [answer] : await sql`
          select d.event_id, d.correlation_id from marketplace.webhook_deliveries as d
          join marketplace.integrations as i on i.id = d.integration_id
          where i.slug = ${target.slug} and d.received_at > now() - interval '1 minute'
          order by d.received_at desc limit 1`;
        if (out.json) {
          out.document({
            ok: response.ok,
            url: signed.url,
            event: delivery.event,
            status: response.status,
            duration_ms: took,
            event_id: response.ok ? stored?.event_id : undefined,
            correlation_id: response.ok ? stored?.correlation_id : undefined,
            answer: answer ?? text,
          });
        } else {
          const status = response.ok
            ? paint.green(response.status + "")
            : paint.red(response.status + "");
          out.line(`${status} in ${took} ms  ${provider} ${delivery.event} → ${signed.url}`);
          if (response.ok && stored) out.line(`mp trace ${stored.correlation_id}`);
          if (!response.ok) out.line(cell(text));
        }
        return response.ok ? 0 : 1;
      })
    );
}

async function readBody(path: string): Promise<string> {
  return await Deno.readTextFile(path).catch((error: Error) => {
    throw new UsageError(`The file cannot be read: ${error.message}`);
  });
}

function readHeaders(texts: string[] = []): Record<string, string> {
  return Object.fromEntries(texts.map((text) => {
    const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):\s*(.+)$/.exec(text) ?? [];
    if (name) return [name, value!];
    throw new UsageError(`"${text}" is no header: give name:value.`);
  }));
}
