/**
 * Integrations: what they need to be told things, and to be let in.
 * @module
 */
import { WebhookConfig } from "../../../supabase/functions/_shared/webhooks/config.ts";
import { age } from "../output.ts";
import type { Sql } from "../session.ts";
import { type Check, exists, type Finding } from "./check.ts";

/** An integration as far as its deliveries go. */
export interface Receiving {
  slug: string;
  provider: string;
  is_default: boolean;
  secret_env: string | null;
  /** The provider's settings, merged with the integration's own. */
  webhook_config: Record<string, unknown>;
  has_secret: boolean;
  /** How many active rules start from it. */
  rules: number;
  /** Whether a rule only brings things to it, or tells it. */
  is_destination: boolean;
  /** Whether a delivery was accepted with the settings and secrets as they are now. */
  receives: boolean;
}

/** Integrations that could be sent webhooks. @param slug only this one */
export async function receivingIntegrations(sql: Sql, slug?: string): Promise<Receiving[]> {
  return await sql<Receiving[]>`
    select i.slug, i.provider, i.is_default, p.secret_env,
      marketplace.webhook_config(p.slug, i.slug) -> 'webhook_config' as webhook_config,
      exists (
        select from marketplace.integration_secrets as s
        where s.integration_id = i.id and s.purpose = 'webhook'
          and s.valid_from <= now() and (s.valid_until is null or s.valid_until > now())
      ) as has_secret,
      (select count(*) from marketplace.sync_rules as r
        where r.source_integration_id = i.id and r.is_active) as rules,
      exists (
        select from marketplace.sync_rules as r
        where i.id in (r.destination_integration_id, r.notify_integration_id)
      ) as is_destination,
      exists (
        select from marketplace.webhook_events as e
        where e.integration_id = i.id and e.created_at > greatest(
          i.updated_at,
          (select max(s.valid_until) from marketplace.integration_secrets as s
            where s.integration_id = i.id and s.purpose = 'webhook')
        )
      ) as receives
    from marketplace.integrations as i
    join marketplace.providers as p on p.slug = i.provider
    where i.status = 'active' and p.webhook_config ? 'verify'
      and (${slug ?? null}::text is null or i.slug = ${slug ?? null})
    order by i.slug`;
}

/** What keeps an integration from accepting a delivery. */
export function receivingFindings(integration: Receiving): Finding[] {
  const { slug: subject, rules, has_secret, is_default, secret_env, receives } = integration;
  const isNote = rules === 0;
  const config = WebhookConfig.safeParse(integration.webhook_config);
  if (!config.success) {
    const [issue] = config.error.issues;
    return [{
      subject,
      message: `Its webhook settings are invalid: ${issue!.path.join(".")} ${issue!.message}`,
      remedy: "Correct config.webhook of the integration, or webhook_config of its provider.",
    }];
  }
  const { verify } = config.data;
  const needsSecret = verify.every(({ family }) => family !== "jwt" && family !== "sns");
  // Accepted without a secret in Vault: the functions' environment has it.
  const isFromEnv = is_default && secret_env !== null && receives;
  if (needsSecret && !has_secret && !isFromEnv) {
    return [{
      subject,
      message: "has no webhook secret in Vault: every delivery is refused" +
        (is_default && secret_env ? `, unless the functions have ${secret_env}.` : ".") +
        (isNote ? " No active rule waits for one." : ""),
      remedy: `mp integrations set-secret ${subject} webhook`,
      isNote,
    }];
  }
  if (has_secret) return [];
  const wanted = verify.flatMap((scheme) =>
    scheme.family === "sns"
      ? ["topic_arns"]
      : scheme.family === "jwt"
      ? [scheme.audience, ...Object.values(scheme.claims)]
        .flatMap((template) =>
          [...template.matchAll(/\{setting:(\w+)\}/g)].map(([, name]) => name!)
        )
      : []
  );
  return [...new Set(wanted)].filter((name) => config.data[name] === undefined).map((name) => ({
    subject,
    message: `lacks config.webhook.${name}, which its provider's proof needs.`,
    remedy: name === "topic_arns"
      ? `mp watches add ${subject} has the bucket tell; or subscribe a topic, and name it there`
      : `mp integrations register ${subject} … --config '{"webhook": {"${name}": …}}'`,
    isNote,
  }));
}

const webhookSecrets: Check = {
  name: "webhook_secrets",
  title: "every source can verify its deliveries",
  run: async ({ sql }) =>
    (await receivingIntegrations(sql))
      // Nobody waits for what a mere destination would be sent.
      .filter(({ rules, is_destination }) => rules > 0 || !is_destination)
      .flatMap(receivingFindings),
};

/** What an operator can do about refusals; the others are strangers knocking. */
const REJECTION_REMEDIES: Record<string, string> = {
  invalid_signature: "Another secret is stored than the provider has: mp integrations set-secret",
  missing_secret: "No secret is stored: mp integrations set-secret <slug> webhook",
  missing_setting: "config.webhook lacks what the scheme needs: see webhook_secrets",
  unexpected_source: "Another topic, subscription or sender than config.webhook names.",
  invalid_config: "The provider's webhook_config cannot be read: see webhook_secrets",
  not_registered: "Register an integration: mp integrations register --help",
  inactive: "The integration is inactive; end the webhook at the provider, or activate it.",
  stale_timestamp: "Deliveries seem older than five minutes: compare the clocks, see clock_skew.",
  future_timestamp: "Deliveries seem to come from the future: compare the clocks, see clock_skew.",
  keys_unavailable: "The provider's public keys cannot be fetched; are outgoing requests blocked?",
  payload_too_large: "Raise max_body_bytes of the provider's row.",
};

const rejections: Check = {
  name: "rejections",
  title: "no provider's deliveries are refused",
  async run({ sql }) {
    const rows = await sql<{ provider: string; reason: string; count: number; accepts: boolean }[]>`
      select r.provider, r.reason, sum(r.rejection_count)::bigint as count,
        exists (
          select from marketplace.webhook_events as e
          join marketplace.integrations as i on i.id = e.integration_id
          where i.provider = r.provider and e.created_at > now() - interval '1 hour'
        ) as accepts
      from marketplace.webhook_rejections as r
      where r.minute > now() - interval '1 hour'
        -- what was refused before the settings or a secret changed says nothing of how it is now
        and r.minute > coalesce(
          (select max(i.updated_at) from marketplace.integrations as i where i.provider = r.provider), '-infinity')
      group by r.provider, r.reason
      order by 3 desc`;
    return rows.flatMap(({ provider, reason, count, accepts }) => {
      const remedy = REJECTION_REMEDIES[reason];
      if (!remedy) return [];
      const message = `${count} refused in the last hour: ${reason}` +
        (accepts ? "; others were accepted." : ", none accepted.");
      return [{ subject: provider, message, remedy, isNote: accepts }];
    });
  },
};

const health: Check = {
  name: "integrations",
  title: "no integration is unwell",
  async run({ sql }) {
    const rows = await sql<
      { slug: string; status: string; health_status: string; error_message: string | null }[]
    >`
      select slug, status, health_status, error_message from marketplace.integrations
      where status = 'error' or health_status in ('degraded', 'unhealthy')
      order by slug`;
    return rows.map(({ slug, status, health_status, error_message }) => ({
      subject: slug,
      message: `is ${status === "error" ? "in error" : health_status}: ${
        error_message ?? "no reason given"
      }`,
      remedy: `mp integrations test ${slug}`,
      isNote: status !== "error" && health_status === "degraded",
    }));
  },
};

const tokens: Check = {
  name: "tokens",
  title: "no secret, grant or connection ends or fails",
  async run({ sql }) {
    const secrets = await sql<
      { slug: string; purpose: string; valid_until: Date; ended: boolean }[]
    >`
      select i.slug, s.purpose, max(s.valid_until) as valid_until,
        max(s.valid_until) <= now() as ended
      from marketplace.integration_secrets as s
      join marketplace.integrations as i on i.id = s.integration_id
      where s.purpose not like 'offered\\_webhook\\_%'
      group by i.slug, s.purpose
      having bool_and(s.valid_until is not null) and max(s.valid_until) < now() + interval '7 days'`;
    const grants = await exists(sql, "marketplace.oauth_tokens")
      ? await sql<
        { slug: string; status: string; error_message: string | null; failures: number }[]
      >`
        select i.slug, t.status, t.error_message, t.failure_count as failures
        from marketplace.oauth_tokens as t
        join marketplace.integrations as i on i.id = t.integration_id
        where t.connection_id is null and (t.status <> 'active' or t.failure_count > 0)`
      : [];
    const connections = await exists(sql, "marketplace.v_expiring_connections")
      ? await sql<
        {
          id: string;
          name: string;
          integration: string;
          status: string;
          expires_at: Date | null;
          error_message: string | null;
        }[]
      >`
        select id, name, integration, status, expires_at, error_message
        from marketplace.v_expiring_connections limit 50`
      : [];
    return [
      ...secrets.map(({ slug, purpose, valid_until, ended }): Finding => ({
        subject: slug,
        message: ended
          ? `Its ${purpose} secret ended ${age(valid_until)} ago, and no other is valid.`
          : `Its ${purpose} secret ends in ${age(valid_until)}, and no other is valid after it.`,
        remedy: `mp integrations set-secret ${slug} ${purpose}`,
      })),
      ...grants.map(({ slug, status, error_message, failures }) => ({
        subject: slug,
        message: status === "active"
          ? `Its token could not be refreshed ${failures} times: ${error_message ?? "no reason"}`
          : `Its grant was refused: ${error_message ?? "no reason"}`,
        remedy: `Authorise it anew, or store another credential: mp integrations show ${slug}`,
      })),
      ...connections.map(({ id, name, integration, status, expires_at, error_message }) => ({
        subject: `${integration}/${name}`,
        message: status === "active"
          ? `ends in ${age(expires_at)}, with nothing to renew it.`
          : `is ${status}: ${error_message ?? "no reason"}`,
        remedy: `Its owner connects it again (connection ${id}).`,
        isNote: status === "active",
      })),
    ];
  },
};

const watchChannels: Check = {
  name: "watch_channels",
  title: "no watch channel has ended",
  async run({ sql }) {
    if (!await exists(sql, "marketplace.v_watch_channels")) return [];
    const rows = await sql<{ row: Record<string, unknown> }[]>`
      select to_jsonb(w) as row from marketplace.v_watch_channels as w
      where (to_jsonb(w) ->> 'expires_at')::timestamptz < now() + interval '1 hour' limit 50`;
    return rows.map(({ row }) => ({
      subject: String(row.integration ?? row.id ?? "channel"),
      message: `Its watch channel ends or ended at ${row.expires_at}.`,
      remedy:
        "marketplace-maintain renews channels ahead of time: see cron and functions_reachable.",
    }));
  },
};

const quotas: Check = {
  name: "quotas",
  title: "no rate limit is nearly spent",
  async run({ sql }) {
    const rows = await sql<
      { integration: string; quota: string; usage_percent: number; resets_at: Date }[]
    >`
      select integration, quota, usage_percent, resets_at
      from marketplace.v_quota_status where usage_percent >= 90`;
    return rows.map(({ integration, quota, usage_percent, resets_at }) => ({
      subject: integration,
      message: `${usage_percent} % of ${quota} is spent; it starts anew in ${age(resets_at)}.`,
      remedy: "Wait, or give its workflow a lower rate_per_second.",
      isNote: usage_percent < 100,
    }));
  },
};

/** The checks of integrations. */
export const INTEGRATION_CHECKS: Check[] = [
  webhookSecrets,
  rejections,
  health,
  tokens,
  watchChannels,
  quotas,
];
