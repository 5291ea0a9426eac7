import { Buffer } from "node:buffer";
import { type Context, Hono } from "hono";
import { z } from "zod";
import { StorageFullError } from "../../core/contents.ts";
import { UploadCutError } from "../../core/observe.ts";
import type { ObservedEnv, Provider, Sandbox } from "../../core/provider.ts";
import { bearerToken } from "../../core/requests.ts";
import { createCalendar } from "./calendar.ts";
import { GoogleChannels } from "./channels.ts";
import { createDocs } from "./docs.ts";
import { createDrive } from "./drive.ts";
import {
  gmailErrorResponse,
  GoogleError,
  googleErrorResponse,
  plainErrorResponse,
} from "./errors.ts";
import { createGmail } from "./gmail.ts";
import { PubSub, SubscriptionFixture } from "./pubsub.ts";
import { createSheets } from "./sheets.ts";

/** The fixed, public credentials of the sandbox's Google. */
export const GOOGLE_CREDENTIALS = {
  accessToken: "sandbox-google-token",
  refreshToken: "sandbox-google-refresh",
  clientId: "sandbox-google-client",
  clientSecret: "sandbox-google-secret",
} as const;

const SCOPE = "https://www.googleapis.com/auth/drive";
const HEADER_LIFETIME_S = 3599;

/** How the token endpoint behaves, as `POST /_control/google/oauth` takes it. */
export const GoogleOAuthFixture = z.strictObject({
  /** Lifetime of the access tokens issued from now on, in seconds. */
  expires_in: z.int().min(1).optional(),
  /** `true`: the refresh token has been revoked, each refresh answers `invalid_grant`. */
  invalid_grant: z.boolean().optional(),
  /** `true`: every access token that was issued or is built in stops working at once. */
  revoke_access_tokens: z.boolean().optional(),
});
/** The input form of {@linkcode GoogleOAuthFixture}. */
export type GoogleOAuthFixture = z.input<typeof GoogleOAuthFixture>;

/**
 * Google: the OAuth token endpoint, and the Workspace APIs behind one bearer check. A further API
 * is a further file like `docs.ts`, mounted here.
 *
 * @see https://developers.google.com/identity/protocols/oauth2/web-server#offline
 */
export function createGoogle(sandbox: Sandbox, mountedAt: string): Provider {
  /** Expiry in milliseconds since the epoch by access token. */
  const tokens = new Map<string, number>();
  let oauth = { expiresIn: HEADER_LIFETIME_S, invalidGrant: false };
  issueFirstToken();

  const channels = new GoogleChannels(sandbox);
  const drive = createDrive(sandbox, mountedAt, channels);
  const docs = createDocs(drive.files, drive.fixtures);
  const sheets = createSheets(drive.files, drive.fixtures);
  const pubsub = new PubSub(sandbox);
  const gmail = createGmail(sandbox, pubsub);
  const calendar = createCalendar(sandbox, channels);
  const app = new Hono<ObservedEnv>();

  app.post("/oauth2/token", async (c) => {
    const form = await c.req.parseBody();
    const read = (name: string) => typeof form[name] === "string" ? form[name] : "";
    const [basicId = "", basicSecret = ""] = basicAuth(c);
    const refused = (status: 400 | 401, error: string, error_description: string) =>
      c.json({ error, error_description }, status);

    if ((read("client_id") || basicId) !== GOOGLE_CREDENTIALS.clientId) {
      return refused(401, "invalid_client", "The OAuth client was not found.");
    }
    if ((read("client_secret") || basicSecret) !== GOOGLE_CREDENTIALS.clientSecret) {
      return refused(401, "invalid_client", "The provided client secret is invalid.");
    }
    if (read("grant_type") !== "refresh_token") {
      return refused(400, "unsupported_grant_type", `Invalid grant_type: ${read("grant_type")}`);
    }
    if (read("refresh_token") === "") {
      return refused(400, "invalid_request", "Missing required parameter: refresh_token");
    }
    if (oauth.invalidGrant || read("refresh_token") !== GOOGLE_CREDENTIALS.refreshToken) {
      return refused(400, "invalid_grant", "Token has been expired or revoked.");
    }
    const token = `ya29.sandbox-${crypto.randomUUID()}`;
    tokens.set(token, sandbox.clock.now() + oauth.expiresIn * 1000);
    c.header("cache-control", "no-cache, no-store, max-age=0, must-revalidate");
    return c.json({
      access_token: token,
      expires_in: oauth.expiresIn,
      scope: SCOPE,
      token_type: "Bearer",
    });
  });

  app.get("/oauth2/v3/certs", async (c) => {
    c.header("cache-control", "public, max-age=20000, must-revalidate, no-transform");
    return c.json(await pubsub.jwks());
  });

  const authenticate = (c: Context) => {
    const token = bearerToken(c) || c.req.query("access_token") || "";
    if (!token) throw new GoogleError("forbidden", UNREGISTERED);
    if (!((tokens.get(token) ?? 0) > sandbox.clock.now())) throw new GoogleError("authError");
  };
  for (const api of ["drive", "docs", "sheets", "gmail", "calendar"]) {
    app.use(`/${api}/*`, async (c, next) => (authenticate(c), await next()));
  }
  app.use("/upload/*", async (c, next) => {
    // The session URI of a resumable upload is its own credential.
    if (c.req.query("upload_id") === undefined) authenticate(c);
    await next();
  });
  for (const api of [drive, docs, sheets, gmail, calendar]) app.route("/", api.app);

  app.all("*", (c) => {
    const { pathname } = new URL(c.req.url);
    return c.html(`The requested URL <code>${pathname}</code> was not found on this server.`, 404);
  });
  app.onError((error, c) => {
    if (error instanceof GoogleError) {
      const [, api] = c.req.path.slice(mountedAt.length).split("/");
      if (api === "docs" || api === "sheets") return plainErrorResponse(error);
      return api === "gmail" ? gmailErrorResponse(error) : googleErrorResponse(error);
    }
    if (error instanceof StorageFullError) {
      return googleErrorResponse(new GoogleError("storageQuotaExceeded"));
    }
    if (error instanceof UploadCutError) {
      return googleErrorResponse(new GoogleError("backendError"));
    }
    console.error(error);
    return googleErrorResponse(new GoogleError("internalError"));
  });

  function issueFirstToken(): void {
    tokens.set(GOOGLE_CREDENTIALS.accessToken, Infinity);
  }

  const control = new Hono();
  control.post("/google/oauth", async (c) => {
    const wanted = GoogleOAuthFixture.parse(await c.req.json());
    oauth = {
      expiresIn: wanted.expires_in ?? oauth.expiresIn,
      invalidGrant: wanted.invalid_grant ?? oauth.invalidGrant,
    };
    if (wanted.revoke_access_tokens) tokens.clear();
    return c.json({ expires_in: oauth.expiresIn, invalid_grant: oauth.invalidGrant });
  });
  control.get("/google/channels", (c) => c.json({ channels: channels.list() }));
  control.post("/google/subscriptions", async (c) => {
    const wanted = SubscriptionFixture.parse(await c.req.json());
    pubsub.subscribe(wanted);
    return c.json(wanted, 201);
  });
  for (const { control: part } of [drive.fixtures, docs, sheets, gmail, calendar]) {
    if (part) control.route("/", part);
  }

  return {
    name: "google",
    app,
    control,
    refuse({ status, error, retryAfter }) {
      const reason = error ?? (retryAfter === undefined ? undefined : "userRateLimitExceeded");
      const response = googleErrorResponse(GoogleError.of(reason, status));
      if (retryAfter !== undefined) response.headers.set("retry-after", String(retryAfter));
      return response;
    },
    async reset() {
      tokens.clear();
      issueFirstToken();
      oauth = { expiresIn: HEADER_LIFETIME_S, invalidGrant: false };
      channels.reset();
      pubsub.reset();
      gmail.reset?.();
      calendar.reset?.();
      await drive.reset();
    },
  };
}

const UNREGISTERED =
  "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.";

function basicAuth(c: Context): string[] {
  const encoded = /^basic\s+(\S+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
  return encoded
    ? Buffer.from(encoded, "base64").toString().split(":").map(decodeURIComponent)
    : [];
}
