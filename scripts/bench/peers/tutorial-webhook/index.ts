/**
 * The webhook receiver that tutorials teach: verify, parse, insert by supabase-js. A peer of the
 * ingest figure, not a part of the product.
 * @see https://supabase.com/docs/guides/functions/connect-to-postgres
 */
import { createClient } from "@supabase/supabase-js";
import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";

const supabase = createClient(
  Deno.env.get("SUPABASE_URL")!,
  Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!,
);
const secret = Deno.env.get("TUTORIAL_WEBHOOK_SECRET")!;

export default {
  async fetch(request: Request): Promise<Response> {
    const body = await request.text();
    const expected = `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
    const sent = request.headers.get("x-hub-signature-256") ?? "";
    if (
      sent.length !== expected.length || !timingSafeEqual(Buffer.from(sent), Buffer.from(expected))
    ) return new Response("invalid signature", { status: 401 });
    const { error } = await supabase.from("tutorial_events").insert({
      delivery_id: request.headers.get("x-github-delivery"),
      event_type: request.headers.get("x-github-event"),
      payload: JSON.parse(body),
    });
    // 23505: delivered before.
    if (error && error.code !== "23505") return Response.json(error, { status: 500 });
    return Response.json({ received: true });
  },
};
