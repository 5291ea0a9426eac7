import assert from "node:assert/strict";
import { auth } from "@googleapis/drive";
import { GOOGLE_CREDENTIALS } from "./mod.ts";

/** The authorization that Google's own clients take, refreshed at the sandbox. */
export function googleAuth(url: string) {
  const oauth = new auth.OAuth2({
    clientId: GOOGLE_CREDENTIALS.clientId,
    clientSecret: GOOGLE_CREDENTIALS.clientSecret,
    endpoints: { oauth2TokenUrl: `${url}/google/oauth2/token` },
  });
  oauth.setCredentials({ refresh_token: GOOGLE_CREDENTIALS.refreshToken });
  return oauth;
}

/** What Google's client was refused with. */
export interface GoogleRefusal {
  status: number;
  reason: string;
  message: string;
}

/** @throws AssertionError when the call was not refused */
export async function refusal(call: Promise<unknown>): Promise<GoogleRefusal> {
  const error = await call.then(() => undefined, (error: unknown) => error) as {
    response?: {
      status: number;
      data: { error: { message: string; errors: { reason: string }[] } };
    };
  };
  assert(error?.response, `expected Google's refusal, got ${error}`);
  const { status, data } = error.response;
  return { status, message: data.error.message, reason: data.error.errors[0]!.reason };
}
