/** Signs as marketplace-dispatch does, with the reference library instead of its own code. */
import { Webhook } from "standardwebhooks";

/** The headers that prove where a dispatch comes from. @param secret `whsec_…` */
export function signedHeaders(secret: string, id: string, body: string, at = new Date()) {
  return {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": new Webhook(secret).sign(id, at, body),
  };
}
