/** Routes of marketplace-oauth. */
import { z } from "zod";
import {
  AuthorizeQuery,
  NewCredential,
  NewLink,
  Reconnect,
} from "../../supabase/functions/marketplace-oauth/app.ts";
import type { Operation } from "./operation.ts";
import { ConnectionRow, Id, Page, TestResult, Time } from "./schemas.ts";

const Authorize = z.object({ authorize_url: z.url(), connection_id: Id });

const Outcome = z.object({
  connection_id: Id,
  status: z.enum(["connected", "refused", "failed"]),
  error: z.string().nullable(),
  message: z.string().nullable(),
  account: z.string().nullable(),
}).meta({ id: "ConnectOutcome" });

const Link = z.object({ url: z.url(), connection_id: Id, expires_at: Time })
  .meta({ id: "ConnectLink" });

const Tested = z.object({ connection: ConnectionRow, test: TestResult })
  .meta({ id: "TestedConnection" });

const One = z.object({ connection: ConnectionRow });

const MANAGERS: Operation["credentials"] = ["userToken", "apiKey", "serviceKey"];
const CONNECTING = {
  403: ["forbidden"],
  404: ["not_found"],
  422: ["validation_failed", "credential_refused", "credential_type_unsupported"],
  503: ["provider_unavailable", "configuration_missing"],
};

const change = (
  step: string,
  operation: Pick<Operation, "id" | "summary" | "answers"> & Partial<Operation>,
): Operation => ({
  method: "post",
  path: `/marketplace-oauth/connections/{id}/${step}`,
  credentials: MANAGERS,
  errors: CONNECTING,
  ...operation,
});

/** Routes of marketplace-oauth. */
export const OAUTH: Operation[] = [
  {
    id: "authorize",
    method: "get",
    path: "/marketplace-oauth/authorize",
    summary: "Send a browser to a provider",
    description: "A user's own, or, with a connect link's token, whoever has the link.",
    credentials: ["userToken", "connectLink"],
    query: AuthorizeQuery,
    answers: {
      200: { description: "With `Accept: application/json`: where to send it.", body: Authorize },
      302: { description: "To the provider.", body: null, headers: ["location"] },
    },
    errors: CONNECTING,
  },
  {
    id: "finishAuthorization",
    method: "get",
    path: "/marketplace-oauth/callback",
    summary: "Where providers send browsers back to",
    query: z.object({
      state: z.string().optional(),
      code: z.string().optional(),
      error: z.string().optional(),
    }),
    answers: {
      200: { description: "Connected.", body: { "application/json": Outcome, ...Page } },
      302: { description: "On to `redirect_to`.", body: null, headers: ["location"] },
      422: { description: "Not connected.", body: { "application/json": Outcome, ...Page } },
    },
    errors: {
      400: ["invalid_state"],
      401: ["invalid_token", "token_expired"],
      403: ["forbidden"],
    },
  },
  {
    id: "createConnectLink",
    method: "post",
    path: "/marketplace-oauth/connect-links",
    summary: "A link by which somebody else connects an account, once",
    credentials: MANAGERS,
    body: NewLink,
    answers: { 201: { description: "The link.", body: Link } },
    errors: CONNECTING,
  },
  {
    id: "openConnectLink",
    method: "get",
    path: "/marketplace-oauth/connect/{token}",
    summary: "What a connect link shows",
    answers: {
      200: { description: "A page.", body: Page },
      404: { description: "Used, or its time is over.", body: Page },
    },
  },
  {
    id: "useConnectLink",
    method: "post",
    path: "/marketplace-oauth/connect/{token}",
    summary: "What a connect link's form sends",
    body: { "application/x-www-form-urlencoded": z.record(z.string(), z.string()) },
    answers: {
      200: { description: "Connected, or on to the provider.", body: Page },
      400: { description: "The form is not one of these.", body: Page },
      404: { description: "Used, or its time is over.", body: Page },
      413: { description: "More than a form.", body: Page },
      422: { description: "The form again, with what is wrong.", body: Page },
    },
  },
  {
    id: "createConnection",
    method: "post",
    path: "/marketplace-oauth/connections",
    summary: "Connect with a credential that is handed in",
    description: "It is tested before it is kept, in Vault.",
    credentials: MANAGERS,
    body: NewCredential,
    answers: { 201: { description: "The connection.", body: Tested } },
    errors: CONNECTING,
  },
  {
    id: "getConnection",
    method: "get",
    path: "/marketplace-oauth/connections/{id}",
    summary: "One connection",
    credentials: MANAGERS,
    answers: { 200: { description: "Without its secrets.", body: One } },
    errors: { 403: ["forbidden"], 404: ["not_found"] },
  },
  {
    id: "deleteConnection",
    method: "delete",
    path: "/marketplace-oauth/connections/{id}",
    summary: "Revoke and delete",
    credentials: MANAGERS,
    answers: { 204: { description: "It is gone.", body: null } },
    errors: { 403: ["forbidden"], 404: ["not_found"] },
  },
  change("test", {
    id: "testConnection",
    summary: "Ask the provider whether it still works",
    answers: { 200: { description: "Its verdict.", body: Tested } },
  }),
  change("refresh", {
    id: "refreshConnection",
    summary: "Renew its access token now",
    answers: { 200: { description: "The connection.", body: One } },
    errors: { ...CONNECTING, 422: ["not_renewable"], 409: ["connection_reauthorization_required"] },
  }),
  change("revoke", {
    id: "revokeConnection",
    summary: "Forget its secrets, and tell the provider",
    answers: {
      200: { description: "The connection.", body: One.extend({ is_provider_told: z.boolean() }) },
    },
  }),
  change("reconnect", {
    id: "reconnect",
    summary: "Give it another credential",
    body: Reconnect,
    answers: {
      200: { description: "With the credential that was handed in.", body: Tested },
      201: { description: "Without one: a link by which it can be connected.", body: Link },
    },
  }),
];
