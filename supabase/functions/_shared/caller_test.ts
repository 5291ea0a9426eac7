import assert from "node:assert/strict";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { userTokenVerifier } from "./caller.ts";

const SECRET = "super-secret-jwt-token-with-at-least-32-characters-long";
const USER = "00000000-0000-4000-8000-000000000001";

/** An Auth server's key set, and a verifier that reads it. */
async function withAuth(
  test: (auth: {
    url: string;
    verify: ReturnType<typeof userTokenVerifier>;
    sign: (claims?: JWTPayload, header?: Record<string, string>) => Promise<string>;
    signWithSecret: (claims?: JWTPayload, secret?: string) => Promise<string>;
    fetches: () => number;
    fail: () => void;
  }) => Promise<void>,
) {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = { ...await exportJWK(publicKey), kid: "one", alg: "ES256", use: "sig" };
  let fetches = 0;
  let isFailing = false;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    if (new URL(request.url).pathname !== "/auth/v1/.well-known/jwks.json") {
      return new Response("", { status: 404 });
    }
    fetches++;
    return isFailing ? new Response("no", { status: 500 }) : Response.json({ keys: [jwk] });
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  const claims = (over: JWTPayload): JWTPayload => ({
    iss: `${url}/auth/v1`,
    aud: "authenticated",
    role: "authenticated",
    sub: USER,
    exp: Math.floor(Date.now() / 1000) + 3600,
    ...over,
  });
  try {
    await test({
      url,
      verify: userTokenVerifier({ supabaseUrl: url, jwtSecret: SECRET }),
      sign: (over = {}, header = {}) =>
        new SignJWT(claims(over)).setProtectedHeader({ alg: "ES256", kid: "one", ...header })
          .sign(privateKey),
      signWithSecret: (over = {}, secret = SECRET) =>
        new SignJWT(claims(over)).setProtectedHeader({ alg: "HS256" })
          .sign(new TextEncoder().encode(secret)),
      fetches: () => fetches,
      fail: () => isFailing = true,
    });
  } finally {
    await server.shutdown();
  }
}

const code = (expected: string) => (error: unknown) =>
  (error as { code?: string }).code === expected;

Deno.test("a token signed with a published key is its user's", async () => {
  await withAuth(async ({ verify, sign, fetches }) => {
    const caller = await verify(await sign());
    assert.equal(caller.userId, USER);
    assert.equal(caller.claims.role, "authenticated");
    await verify(await sign());
    assert.equal(fetches(), 1);
  });
});

Deno.test("a token signed with the project's secret is its user's", async () => {
  await withAuth(async ({ verify, signWithSecret, fetches }) => {
    assert.equal((await verify(await signWithSecret())).userId, USER);
    // As Auth servers of old and the local one issue it.
    assert.equal((await verify(await signWithSecret({ iss: undefined }))).userId, USER);
    assert.equal(fetches(), 0);
  });
});

Deno.test("another audience, issuer, role, subject or time is refused", async () => {
  await withAuth(async ({ verify, sign, signWithSecret }) => {
    const past = Math.floor(Date.now() / 1000) - 60;
    for (const make of [sign, signWithSecret]) {
      await assert.rejects(verify(await make({ exp: past })), code("token_expired"));
      await assert.rejects(verify(await make({ exp: undefined })), code("invalid_token"));
      for (
        const claims of [
          { aud: "other" },
          { aud: undefined },
          { iss: "https://other.supabase.co/auth/v1" },
          { role: "service_role" },
          { role: "anon" },
          { role: undefined },
          { sub: undefined },
          { sub: "" },
          { sub: "admin" },
        ]
      ) {
        await assert.rejects(
          verify(await make(claims)),
          code("invalid_token"),
          JSON.stringify(claims),
        );
      }
    }
    await assert.rejects(verify(await sign({ iss: undefined })), code("invalid_token"));
  });
});

Deno.test("the algorithm belongs to the kind of key", async () => {
  await withAuth(async ({ url, verify, sign, signWithSecret }) => {
    const encode = (value: unknown) => btoa(JSON.stringify(value)).replace(/=+$/, "");
    const token = await sign();
    const [, payload, signature] = token.split(".");
    for (const header of [{ alg: "none" }, { alg: "HS256" }, { alg: "HS256", kid: "one" }]) {
      await assert.rejects(
        verify(`${encode(header)}.${payload}.${signature}`),
        code("invalid_token"),
      );
      await assert.rejects(verify(`${encode(header)}.${payload}.`), code("invalid_token"));
    }
    // The published key's text is public: as a secret it must open nothing.
    const jwks = await (await fetch(`${url}/auth/v1/.well-known/jwks.json`)).json();
    await assert.rejects(
      verify(await signWithSecret({}, JSON.stringify(jwks.keys[0]))),
      code("invalid_token"),
    );
    await assert.rejects(
      userTokenVerifier({ supabaseUrl: url })(await signWithSecret()),
      code("invalid_token"),
    );
    const { privateKey } = await generateKeyPair("ES256");
    const forged = await new SignJWT({ role: "authenticated", sub: USER })
      .setProtectedHeader({ alg: "ES256", kid: "one" }).setIssuer(`${url}/auth/v1`)
      .setAudience("authenticated").setExpirationTime("1h").sign(privateKey);
    await assert.rejects(verify(forged), code("invalid_token"));
    await assert.rejects(verify(await sign({}, { kid: "two" })), code("invalid_token"));
  });
});

Deno.test("what is no token at all is refused", async () => {
  await withAuth(async ({ verify }) => {
    for (const token of ["", "x", "a.b.c", "eyJhbGciOiJIUzI1NiJ9", "....", "null", "e30.e30.e30"]) {
      await assert.rejects(verify(token), code("invalid_token"), token);
    }
  });
});

Deno.test("keys that cannot be read are no verdict on the token", async () => {
  await withAuth(async ({ verify, sign, fail }) => {
    fail();
    await assert.rejects(verify(await sign()), code("keys_unavailable"));
  });
});
