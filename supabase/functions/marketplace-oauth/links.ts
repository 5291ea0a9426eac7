/** Connect links: somebody authorises a connection in a browser, once. */
import type { Context } from "hono";
import type { Sql } from "../_shared/db.ts";
import { functionsUrl } from "../_shared/env.ts";
import { AppError } from "../_shared/errors.ts";
import type { AppEnv } from "../_shared/http.ts";
import {
  type ConnectionContext,
  type CredentialType,
  resolveAuth,
  type Settings,
} from "../_shared/oauth/context.ts";
import type { Subject } from "./access.ts";
import { answerOutcome, formProblems, send } from "./answers.ts";
import { integrationSettings, readContext } from "./contexts.ts";
import { type Given, grantOf, prepare, withOwn } from "./credentials.ts";
import { checkFields, defaultType, fieldsOf } from "./fields.ts";
import { beginAuthorization, checkRedirect } from "./flow.ts";
import { connectPage, goOnPage } from "./page.ts";

/** What a connect link is for. */
export interface Link extends ConnectionContext {
  auth_type: CredentialType | null;
  scopes: string[];
  redirect_to: string | null;
}

/** @throws MK404 unknown, used, ended */
export async function readLink(sql: Sql, token: string): Promise<Link> {
  const [row] = await sql<{ link: Link }[]>`select marketplace.connect_link(${token}) as link`;
  return row!.link;
}

/** What a link is made with. */
export interface LinkOptions {
  type?: CredentialType | undefined;
  settings: Settings;
  scopes: string[];
  redirect_to?: string | undefined;
  /** Seconds. */
  expires_in: number;
}

/**
 * Makes a connect link for a connection.
 *
 * @throws AppError `validation_failed` `credential_type_unsupported` (422)
 */
export async function createLink(
  sql: Sql,
  subject: Subject,
  connectionId: string,
  options: LinkOptions,
): Promise<{ url: string; connection_id: string; expires_at: string }> {
  const redirectTo = checkRedirect(options.redirect_to);
  const context = await readContext(sql, connectionId);
  const type = options.type ?? defaultType(context.provider, { inBrowser: true });
  if (!type) {
    throw new AppError(
      "credential_type_unsupported",
      422,
      `${context.provider.name} needs no account.`,
    );
  }
  const fields = fieldsOf(resolveAuth(context, type), type, integrationSettings(context))
    .filter((field) => field.place === "settings")
    .map((field) => ({ ...field, isRequired: false, default: null }));
  const { settings } = checkFields(fields, { settings: options.settings, credential: {} });
  await keepSettings(sql, connectionId, settings);
  const [link] = await sql<{ token: string; expires_at: Date }[]>`
    select token, expires_at from marketplace.create_connect_link(
      ${connectionId}, ${subject.user?.userId ?? null}, ${options.scopes}::text[], ${redirectTo},
      make_interval(secs => ${options.expires_in}::float8), ${type}
    )
  `;
  return {
    url: `${functionsUrl()}/marketplace-oauth/connect/${link!.token}`,
    connection_id: connectionId,
    expires_at: link!.expires_at.toISOString(),
  };
}

/** The page behind a link. Looking at it does not use it: messengers look, too. */
export function showLink(c: Context<AppEnv>, link: Link, again?: {
  given: { settings: Record<string, string> };
  problems: { field: string | null; message: string }[];
}): Response {
  const { type, auth, fields } = wayOf(link);
  const values = { ...link.connection.metadata, ...again?.given.settings };
  return send(
    c,
    connectPage(c.req.raw, {
      provider: link.provider.name,
      organization: link.organization.name,
      scopes: link.scopes.length > 0 ? link.scopes : auth.scopes ?? [],
      fields,
      values: Object.fromEntries(
        Object.entries(values).map(([name, value]) => [`settings.${name}`, String(value)]),
      ),
      problems: again?.problems ?? [],
      isConsentElsewhere: type === "oauth2",
    }),
  );
}

/** What was filled in on a link's page: shown again if it will not do. */
export async function connectByLink(
  c: Context<AppEnv>,
  sql: Sql,
  { token, form }: { token: string; form: URLSearchParams },
): Promise<Response> {
  const link = await readLink(sql, token);
  const given = readForm(form);
  try {
    return wayOf(link).type === "oauth2"
      ? await sendToProvider(c, sql, { token, link, given })
      : await keepCredential(c, sql, { token, link, given });
  } catch (thrown) {
    const problems = formProblems(thrown);
    if (!problems) throw thrown;
    return showLink(c, link, { given, problems });
  }
}

interface Step {
  token: string;
  link: Link;
  given: Given;
}

async function sendToProvider(
  c: Context<AppEnv>,
  sql: Sql,
  { token, link, given }: Step,
): Promise<Response> {
  const { fields } = wayOf(link);
  const { settings } = checkFields(fields, withOwn(fields, given, link.connection.metadata));
  await useLink(sql, token);
  await keepSettings(sql, link.connection.id, settings);
  const context = { ...link, settings: { ...link.settings, ...settings } };
  const url = await beginAuthorization(c, sql, context, {
    scopes: link.scopes,
    redirectTo: link.redirect_to,
    userId: null,
  });
  return send(c, goOnPage(c.req.raw, { url, name: link.provider.name }));
}

async function keepCredential(
  c: Context<AppEnv>,
  sql: Sql,
  { token, link, given }: Step,
): Promise<Response> {
  const { connection, provider, organization, integration } = link;
  const made = await prepare(sql, link, wayOf(link).type, given, connection.metadata);
  // Whoever uses the link up is the one whose credential is kept.
  await sql`
    select marketplace.use_connect_link(${token}), ${grantOf(sql, sql`${connection.id}`, made)}
  `;
  c.get("log").info("connection.authorized", {
    connection_id: connection.id,
    integration: integration.slug,
    test: made.tested.outcome,
  });
  return answerOutcome(c, {
    connection_id: connection.id,
    status: "connected",
    error: null,
    message: null,
    account: made.tested.account,
    redirect_to: link.redirect_to,
    names: { provider: provider.name, organization: organization.name },
  });
}

/** Uses a link up. @throws MK404 when somebody else did */
export async function useLink(sql: Sql, token: string): Promise<void> {
  await sql`select marketplace.use_connect_link(${token})`;
}

/** The way in that a link takes, and what has to be asked for. */
function wayOf(link: Link) {
  const type = link.auth_type ?? defaultType(link.provider, { inBrowser: true }) ?? "oauth2";
  const auth = resolveAuth(link, type);
  return { type, auth, fields: fieldsOf(auth, type, integrationSettings(link)) };
}

async function keepSettings(sql: Sql, connectionId: string, settings: Settings): Promise<void> {
  if (Object.keys(settings).length === 0) return;
  await sql`
    update marketplace.connections
    set metadata = metadata || ${JSON.stringify(settings)}::text::jsonb
    where id = ${connectionId}
  `;
}

/** A form's fields are called `settings.<name>` and `credential.<name>`. */
function readForm(form: URLSearchParams) {
  const given: Record<"settings" | "credential", Record<string, string>> = {
    settings: {},
    credential: {},
  };
  for (const [key, value] of form) {
    const [, place, name] = /^(settings|credential)\.(.+)$/.exec(key) ?? [];
    if (place && name) given[place as keyof typeof given][name] = value.trim();
  }
  return given;
}
