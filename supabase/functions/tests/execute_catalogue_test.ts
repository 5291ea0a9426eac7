/**
 * Every action of the catalogue through the gateway, as a caller runs it: what reaches the provider
 * is what the provider's documentation prints.
 *
 * The examples are those of `_shared/gateway/golden/`, whose requests another test builds without a
 * gateway; here a stand-in of the provider receives them.
 */
import assert from "node:assert/strict";
import { baseUrlOf } from "../_shared/gateway/credentials.ts";
import type { ProviderRow } from "../_shared/gateway/catalogue.ts";
import { authOf } from "../_shared/gateway/credentials.ts";
import { fillBaseUrl } from "../_shared/gateway/path.ts";
import { type GoldenRequest, loadGoldens } from "./support/goldens.ts";
import { useDatabase } from "./support_queue.ts";
import {
  connect,
  execute,
  makeKey,
  makeTenant,
  type Received,
  register,
  useProvider,
} from "./support_execute.ts";

const sql = useDatabase();
const stand = useProvider(sql);

/** Requests that are signed hold no secret that an example could print. */
const KEYS = { access_key_id: "AKIDEXAMPLE", secret_access_key: "example-secret-access-key" };

const tenant = await makeTenant(sql, stand.url);
const { key } = await makeKey(sql, tenant);

/** Actions by handler; those that make several requests have tests of their own. */
const handlers = new Map(
  (await sql<{ slug: string; handler: string }[]>`
    select provider_slug || '.' || slug as slug, handler
    from marketplace.actions where handler is not null
  `).map(({ slug, handler }) => [slug, handler]),
);

for (const [name, golden] of loadGoldens()) {
  Deno.test(`${name}: what is documented is what arrives`, async () => {
    const [provider] = await sql<[ProviderRow]>`
      select * from marketplace.providers where slug = ${name}
    `;
    const auth = authOf(provider, golden.auth)!;
    const { settings = {}, secrets = {} } = golden;
    const filled = fillBaseUrl(baseUrlOf(provider, auth, golden.api_base)!, settings);
    const base = filled.ok ? filled.text : "";
    const integration = `${tenant.slug}-${name.replaceAll("_", "-")}`;
    await register(sql, {
      slug: integration,
      provider: name,
      organization: tenant.slug,
      config: {
        api_base: `${stand.url}/base`,
        allow_private_network: true,
        connection_quota: { limit: 1_000_000, window_seconds: 60 },
      },
    });
    const connection_id = await connect(sql, { slug: tenant.slug, integration }, {
      isShared: true,
      type: auth.type,
      credential: auth.type === "aws_sigv4" ? KEYS : secrets,
      settings,
    });

    for (const example of golden.requests) {
      const handler = handlers.get(`${name}.${example.action}`);
      if (handler !== undefined && handler !== "s3" && handler !== "s3_presign") continue;
      stand.reset();
      stand.answer(() => answerOf(provider, example.answer));
      const answer = await execute(key, {
        connection_id,
        action: example.action,
        parameters: example.parameters,
        ...(example.idempotency_key ? { idempotency_key: crypto.randomUUID() } : {}),
        output: "base64",
      });
      const about = `${example.action} ${JSON.stringify(answer.body)}`;
      if (handler === "s3_presign") {
        // Nothing is sent: the request is the answer.
        const { method, url: link } = answer.body.result;
        const [path] = splitUrl(link.replace(`${stand.url}/base`, ""));
        assert.equal(`${method} ${base}${path}`, example.sends.split("?")[0], about);
        assert.equal(stand.received.length, 0, about);
        continue;
      }
      assert.equal(stand.received.length, 1, about);
      const [received] = stand.received;
      const [method, url] = example.sends.split(" ");
      assert.equal(received!.method, method, about);
      assert.deepEqual(
        splitUrl(received!.url.replace("/base", "")),
        splitUrl(url!.replace(base, "").replace(/^(?=\?|$)/, "/")),
        about,
      );
      if (handler === "s3") {
        assert.match(received!.headers.get("authorization")!, /^AWS4-HMAC-SHA256 Credential=/);
        continue;
      }
      for (const [header, value] of Object.entries({ ...golden.headers, ...example.headers })) {
        // A key of the caller's own is unique here.
        if (value === example.idempotency_key) continue;
        if (header === "content-type" && example.json === undefined) continue;
        assert.equal(received!.headers.get(header), value, `${example.action} ${header}`);
      }
      await checkBody(received!, example, about);
      if (example.answer !== undefined) {
        assert.equal(answer.status, 200, about);
        if (example.result !== undefined) assert.deepEqual(answer.body.result, example.result);
      }
    }
  });
}

/** An answer that the provider's row takes for a success. */
function answerOf({ response_errors }: ProviderRow, answer: unknown): Response {
  if (answer !== undefined) return Response.json(answer);
  const { pointer, success } = response_errors;
  return Response.json(pointer && success !== undefined ? { [pointer.slice(1)]: success } : {});
}

function splitUrl(url: string): [string, string[]] {
  const [path = "", query = ""] = url.split("?");
  return [path, query.split("&").filter(Boolean).map(decodeURIComponent).sort()];
}

async function checkBody(
  { body, headers }: Received,
  { json, form, parts }: GoldenRequest,
  about: string,
): Promise<void> {
  const text = () => new TextDecoder().decode(body);
  if (json !== undefined) {
    assert.deepEqual(JSON.parse(text()), json, about);
  } else if (form !== undefined) {
    const pairs = [...new URLSearchParams(text())];
    for (const [name, value] of Object.entries(form)) {
      const values = pairs.filter(([other]) => other === name).map(([, each]) => each);
      assert.equal(values.join("\n"), value, about);
    }
    assert.equal(new Set(pairs.map(([name]) => name)).size, Object.keys(form).length, about);
  } else if (parts !== undefined) {
    const received = await new Response(body, { headers }).formData();
    assert.deepEqual(
      [...received].map(([name, value]) => [name, value instanceof File ? value.name : value])
        .sort(),
      parts.map((part) => [part.name, "file" in part ? part.file.filename : part.value]).sort(),
      about,
    );
  } else {
    assert.equal(body.length, 0, about);
  }
}
