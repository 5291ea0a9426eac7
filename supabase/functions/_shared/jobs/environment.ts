/**
 * What default integrations may be given by the functions' environment, as the database asks for it:
 * providers whose token or keys stand there, and the refresh token for Google's.
 */
import { env } from "../env.ts";

/** As `marketplace._has_own_credential` reads it. */
export function environmentCredentials() {
  const { GITHUB_TOKEN, SLACK_BOT_TOKEN, GOOGLE_REFRESH_TOKEN } = env();
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = env();
  return {
    environment_tokens: [
      ...GITHUB_TOKEN ? ["github"] : [],
      ...SLACK_BOT_TOKEN ? ["slack"] : [],
    ],
    environment_keys: AWS_ACCESS_KEY_ID && AWS_SECRET_ACCESS_KEY ? ["aws_s3"] : [],
    google_seed: GOOGLE_REFRESH_TOKEN,
  };
}
