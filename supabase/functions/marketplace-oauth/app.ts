/**
 * marketplace-oauth: connects accounts.
 *
 * A browser goes to a provider and comes back (`/authorize`, `/connect/<token>`, `/callback`); a
 * program hands in what it has (`POST /connections`). What is handed in is tested before it is kept.
 */
import { cors } from "hono/cors";
import { z } from "zod";
import { type Caller, identify, verifyUserToken } from "../_shared/caller.ts";
import { db, type Sql } from "../_shared/db.ts";
import { AppError } from "../_shared/errors.ts";
import { bearerToken, createApp, methodNotAllowed, readBody, readJson } from "../_shared/http.ts";
import { resolveAuth } from "../_shared/oauth/context.ts";
import type { ProbeResult } from "../_shared/oauth/probe.ts";
import {
  asSubject,
  createConnection,
  creationOf,
  type NewConnection,
  readConnection,
  requireConnecting,
  requireManaged,
  type Subject,
  subjectOf,
} from "./access.ts";
import { answerOutcome, failurePage } from "./answers.ts";
import { readContext, readIntegration, requireType } from "./contexts.ts";
import {
  grantOf,
  openGrant,
  prepare,
  refreshConnection,
  revokeConnection,
  testConnection,
} from "./credentials.ts";
import { defaultType } from "./fields.ts";
import { beginAuthorization, checkRedirect, finishAuthorization } from "./flow.ts";
import { connectByLink, createLink, readLink, showLink, useLink } from "./links.ts";
import { wantsPage } from "./page.ts";

const CredentialTypes = z.enum([
  "oauth2",
  "client_credentials",
  "api_key",
  "basic",
  "bearer",
  "service_account",
  "github_app",
  "aws_sigv4",
]);

const Values = z.record(z.string(), z.union([z.string(), z.number()])).default(
  {},
);

/** What names a new connection, in bodies and queries. */
const Wanted = {
  integration: z.string().min(1),
  /** Slug or id. */
  organization: z.string().min(1).optional(),
  organization_id: z.string().min(1).optional(),
  workspace_id: z.string().min(1).optional(),
  name: z.string().trim().min(1).max(200).optional(),
};
const Ownership = {
  is_shared: z.boolean().default(false),
  is_organizations: z.boolean().default(false),
  user_id: z.uuid().optional(),
};

/** Body of `POST /connections`. */
export const NewCredential = z.strictObject({
  ...Wanted,
  ...Ownership,
  type: CredentialTypes.optional(),
  credential: Values,
  settings: Values,
});

/** Body of `POST /connect-links`: a new connection, or one that exists. */
export const NewLink = z.strictObject({
  ...Wanted,
  ...Ownership,
  integration: z.string().min(1).optional(),
  connection_id: z.uuid().optional(),
  type: CredentialTypes.optional(),
  settings: Values,
  scopes: z.array(z.string().min(1)).max(100).default([]),
  redirect_to: z.string().optional(),
  /** How long the link lives, in seconds. */
  expires_in: z.int().min(60).max(86_400).default(900),
});

/** Body of `POST /connections/<id>/reconnect`. */
export const Reconnect = z.strictObject({
  type: CredentialTypes.optional(),
  credential: Values,
  settings: Values,
  scopes: z.array(z.string().min(1)).max(100).default([]),
  redirect_to: z.string().optional(),
});

/** Query of `GET /authorize`. */
export const AuthorizeQuery = z.object({
  ...Wanted,
  integration: z.string().min(1).optional(),
  connection_id: z.uuid().optional(),
  is_shared: z.enum(["true", "false"]).default("false"),
  scopes: z.string().optional(),
  redirect_to: z.string().optional(),
});

/** The function's Hono app, mounted at /marketplace-oauth. */
export const app = createApp("marketplace-oauth");

// Credentials come in headers, never by themselves: any page may ask in its user's name.
app.use(
  "*",
  cors({
    origin: "*",
    allowHeaders: [
      "authorization",
      "apikey",
      "content-type",
      "x-client-info",
      "x-correlation-id",
    ],
    exposeHeaders: ["location", "retry-after", "x-correlation-id"],
    maxAge: 86_400,
  }),
);

// To a provider and back ----------------------------------------------------------------------

app.get("/authorize", async (c) => {
  const sql = db();
  const caller = await identify(c.req.raw);
  const { context, ...options } = await authorizing(sql, caller, c.req.query());
  const url = await beginAuthorization(c, sql, context, options);
  c.header("cache-control", "no-store");
  c.header("referrer-policy", "no-referrer");
  return /\bapplication\/json\b/.test(c.req.header("accept") ?? "")
    ? c.json({ authorize_url: url, connection_id: context.connection.id })
    : c.redirect(url, 302);
});
app.all("/authorize", methodNotAllowed("GET"));

app.get("/callback", async (c) => {
  const sql = db();
  try {
    const user = c.req.header("authorization")
      ? await verifyUserToken(bearerToken(c.req.raw))
      : undefined;
    return answerOutcome(
      c,
      await finishAuthorization(c, sql, user?.userId ?? null),
    );
  } catch (thrown) {
    if (!wantsPage(c.req.raw)) throw thrown;
    return failurePage(c, thrown);
  }
});
app.all("/callback", methodNotAllowed("GET"));

// Connect links -------------------------------------------------------------------------------

app.post("/connect-links", async (c) => {
  const sql = db();
  const subject = await subjectOf(sql, c.req.raw, "admin");
  const body = await readJson(c.req.raw, NewLink);
  if ((body.connection_id === undefined) === (body.integration === undefined)) {
    throw new AppError(
      "invalid_request",
      422,
      "Name an integration to connect, or the connection_id to connect again.",
    );
  }
  let connectionId = body.connection_id;
  if (connectionId) await requireManaged(sql, subject, connectionId);
  else {
    await requireConnecting(sql, subject, wanted(body));
    connectionId = await createConnection(sql, subject, wanted(body));
  }
  const link = await createLink(sql, subject, connectionId, body);
  return c.json(link, 201);
});
app.all("/connect-links", methodNotAllowed("POST"));

app.get("/connect/:token", async (c) => {
  try {
    return showLink(c, await readLink(db(), c.req.param("token")));
  } catch (thrown) {
    return failurePage(c, thrown);
  }
});
app.post("/connect/:token", async (c) => {
  try {
    const body = new TextDecoder().decode(await readBody(c.req.raw, 64 * 1024));
    const token = c.req.param("token");
    return await connectByLink(c, db(), { token, form: new URLSearchParams(body) });
  } catch (thrown) {
    return failurePage(c, thrown);
  }
});
app.all("/connect/:token", methodNotAllowed("GET", "POST"));

// Connections ---------------------------------------------------------------------------------

app.post("/connections", async (c) => {
  const sql = db();
  const subject = await subjectOf(sql, c.req.raw, "admin");
  const body = await readJson(c.req.raw, NewCredential);
  await requireConnecting(sql, subject, wanted(body));
  const context = await readIntegration(sql, body.integration);
  const made = await prepare(sql, context, body.type ?? requireType(context), body);
  const [{ id }] = await sql<[{ id: string }]>`
    with made as materialized (select ${creationOf(sql, subject, wanted(body))} as id)
    select id, ${grantOf(sql, sql`made.id`, made)} from made
  `;
  c.get("log").info("connection.created", {
    connection_id: id,
    integration: body.integration,
    type: made.type,
    test: made.tested.outcome,
  });
  const connection = await readConnection(sql, subject, id);
  return c.json({ connection, test: told(made.tested) }, 201);
});
app.all("/connections", methodNotAllowed("POST"));

app.get("/connections/:id", async (c) => {
  const sql = db();
  const subject = await subjectOf(sql, c.req.raw, "read");
  return c.json({ connection: await readConnection(sql, subject, c.req.param("id")) });
});
app.delete("/connections/:id", async (c) => {
  const sql = db();
  const { id } = await managed(sql, c.req.raw, c.req.param("id"));
  await revokeConnection(sql, id);
  await sql`delete from marketplace.connections where id = ${id}`;
  c.get("log").info("connection.deleted", { connection_id: id });
  return c.body(null, 204);
});
app.all("/connections/:id", methodNotAllowed("GET", "DELETE"));

app.post("/connections/:id/test", async (c) => {
  const sql = db();
  const { id, subject } = await managed(sql, c.req.raw, c.req.param("id"));
  const tested = await testConnection(sql, id);
  return c.json({ connection: await readConnection(sql, subject, id), test: told(tested) });
});
app.all("/connections/:id/test", methodNotAllowed("POST"));

app.post("/connections/:id/refresh", async (c) => {
  const sql = db();
  const { id, subject } = await managed(sql, c.req.raw, c.req.param("id"));
  await refreshConnection(sql, id);
  return c.json({ connection: await readConnection(sql, subject, id) });
});
app.all("/connections/:id/refresh", methodNotAllowed("POST"));

app.post("/connections/:id/revoke", async (c) => {
  const sql = db();
  const { id, subject } = await managed(sql, c.req.raw, c.req.param("id"));
  const isProviderTold = await revokeConnection(sql, id);
  c.get("log").info("connection.revoked", { connection_id: id, provider_told: isProviderTold });
  return c.json({
    connection: await readConnection(sql, subject, id),
    is_provider_told: isProviderTold,
  });
});
app.all("/connections/:id/revoke", methodNotAllowed("POST"));

app.post("/connections/:id/reconnect", async (c) => {
  const sql = db();
  const { id, subject } = await managed(sql, c.req.raw, c.req.param("id"));
  const body = await readJson(c.req.raw, Reconnect);
  const context = await readContext(sql, id);
  const isHandedIn = Object.keys(body.credential).length > 0;
  const type = body.type ??
    (isHandedIn ? requireType(context) : defaultType(context.provider, { inBrowser: true }));
  if (!isHandedIn && (type === undefined || type === "oauth2")) {
    return c.json(await createLink(sql, subject, id, { ...body, expires_in: 900 }), 201);
  }
  const made = await prepare(sql, context, type!, body, context.connection.metadata);
  await openGrant(sql, id, made);
  return c.json({ connection: await readConnection(sql, subject, id), test: told(made.tested) });
});
app.all("/connections/:id/reconnect", methodNotAllowed("POST"));

/** A connection that whoever asks may change. */
async function managed(
  sql: Sql,
  request: Request,
  id: string,
): Promise<{ id: string; subject: Subject }> {
  const subject = await subjectOf(sql, request, "admin");
  await requireManaged(sql, subject, id);
  return { id, subject };
}

/** Who is sent to a provider for what: by a user's own request, or by a connect link. */
async function authorizing(sql: Sql, caller: Caller, query: Record<string, string>) {
  if (caller.kind === "connect_link") {
    const link = await readLink(sql, caller.token);
    resolveAuth(link, "oauth2");
    await useLink(sql, caller.token);
    return { context: link, scopes: link.scopes, redirectTo: link.redirect_to, userId: null };
  }
  if (caller.kind !== "user") {
    throw new AppError(
      "forbidden",
      403,
      "Who authorizes must come back in the same browser: make a link for it with " +
        "POST /marketplace-oauth/connect-links.",
    );
  }
  const asked = AuthorizeQuery.parse(query);
  const redirectTo = checkRedirect(asked.redirect_to);
  const subject = await asSubject(sql, caller, "admin");
  let id = asked.connection_id;
  if (id) await requireManaged(sql, subject, id);
  else {
    const integration = asked.integration ?? "";
    const isShared = asked.is_shared === "true";
    const named = wanted({ ...asked, integration, is_shared: isShared, is_organizations: false });
    await requireConnecting(sql, subject, named);
    resolveAuth(await readIntegration(sql, integration), "oauth2");
    id = await createConnection(sql, subject, named);
  }
  return {
    context: await readContext(sql, id),
    scopes: asked.scopes?.split(/[\s,]+/).filter((scope) => scope !== "") ?? [],
    redirectTo,
    userId: caller.userId,
  };
}

/** What a body or query says of a connection that is to be made. */
function wanted(asked: {
  integration?: string | undefined;
  organization?: string | undefined;
  organization_id?: string | undefined;
  workspace_id?: string | undefined;
  name?: string | undefined;
  is_shared: boolean;
  is_organizations: boolean;
  user_id?: string | undefined;
}): NewConnection {
  const { integration = "", organization, organization_id, workspace_id, ...rest } = asked;
  return { ...rest, integration, organization: organization ?? organization_id ?? workspace_id };
}

function told({ outcome, message }: ProbeResult): { outcome: string; message: string | null } {
  return { outcome, message };
}
