import assert from "node:assert/strict";
import type { Auth } from "../gateway/credentials.ts";
import {
  authorizationUrl,
  clientCredentials,
  deriveVerifier,
  exchangeCode,
  isFromIssuer,
  refreshTokens,
  revokeToken,
} from "./client.ts";
import type { Endpoint, TokenFailure, TokenSet } from "./token_endpoint.ts";

interface Asked {
  headers: Headers;
  body: string;
}

/** A token endpoint that answers as told, and the endpoint that asks it. */
async function withEndpoint(
  answer: (asked: Asked) => Response | Promise<Response>,
  test: (endpoint: Endpoint, asked: Asked[]) => Promise<void>,
  over: Partial<Auth> = {},
): Promise<void> {
  const asked: Asked[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const one = { headers: request.headers, body: await request.text() };
      asked.push(one);
      return await answer(one);
    },
  );
  try {
    const url = `http://127.0.0.1:${server.addr.port}`;
    await test({
      auth: { type: "oauth2", token_url: `${url}/token`, revoke_url: `${url}/revoke`, ...over },
      settings: {},
      client: { client_id: "our client", client_secret: "our:secret" },
      allowPrivate: true,
      isProviders: false,
      integration: "acme",
    }, asked);
  } finally {
    await server.shutdown();
  }
}

async function refresh(
  answer: (asked: Asked) => Response | Promise<Response>,
  over: Partial<Auth> = {},
): Promise<{ tokens?: TokenSet; failure?: TokenFailure; asked: Asked[] }> {
  let found: Awaited<ReturnType<typeof refresh>> | undefined;
  await withEndpoint(answer, async (endpoint, asked) => {
    const result = await refreshTokens(endpoint, "the-refresh-token");
    found = result.ok ? { tokens: result.tokens, asked } : { failure: result.failure, asked };
  }, over);
  return found!;
}

const form = (body: string) => Object.fromEntries(new URLSearchParams(body));

Deno.test("a refresh is asked for as the standard says", async () => {
  const { tokens, asked } = await refresh(() =>
    Response.json({ access_token: "a", token_type: "bearer", expires_in: 100, scope: "x y" })
  );
  assert.deepEqual(form(asked[0]!.body), {
    grant_type: "refresh_token",
    refresh_token: "the-refresh-token",
    client_id: "our client",
    client_secret: "our:secret",
  });
  assert.equal(asked[0]!.headers.get("accept"), "application/json");
  const { expires_in_s, ...rest } = tokens!;
  assert.ok(expires_in_s! > 90 && expires_in_s! <= 100, "less what the request took");
  assert.deepEqual(rest, {
    access_token: "a",
    refresh_token: null,
    token_type: "bearer",
    scopes: ["x", "y"],
    account: null,
    settings: {},
  });
});

Deno.test("a client proves itself as the row says", async () => {
  const basic = await refresh(() => Response.json({ access_token: "a" }), {
    token_auth_method: "client_secret_basic",
  });
  const expected = btoa("our+client:our%3Asecret");
  assert.equal(basic.asked[0]!.headers.get("authorization"), `Basic ${expected}`);
  assert.equal(form(basic.asked[0]!.body).client_secret, undefined);
  const none = await refresh(() => Response.json({ access_token: "a" }), {
    token_auth_method: "none",
  });
  assert.deepEqual(
    [form(none.asked[0]!.body).client_id, form(none.asked[0]!.body).client_secret],
    ["our client", undefined],
  );
});

Deno.test("bodies, parameters and headers are data", async () => {
  const { asked } = await refresh(() => Response.json({ access_token: "a" }), {
    token_body: "json",
    token_params: { audience: "acme", grant_type: "evil" },
    token_headers: { "acme-version": "7" },
  });
  assert.equal(asked[0]!.headers.get("content-type"), "application/json");
  assert.equal(asked[0]!.headers.get("acme-version"), "7");
  const body = JSON.parse(asked[0]!.body);
  assert.equal(body.audience, "acme");
  assert.equal(body.grant_type, "refresh_token", "what the request itself says cannot be replaced");
});

Deno.test("answers are read in the spellings that providers have", async () => {
  const cases: [string, Response, Partial<TokenSet>][] = [
    [
      "a form",
      new Response("access_token=a&scope=repo%2Cuser&token_type=bearer", {
        headers: { "content-type": "application/x-www-form-urlencoded" },
      }),
      { access_token: "a", scopes: ["repo", "user"] },
    ],
    ["a form under another name", new Response("access_token=a"), { access_token: "a" }],
    [
      "scopes as a list, a life as a text, no type",
      Response.json({ access_token: "a", scope: ["x", "y"], expires_in: "100", refresh_token: "" }),
      { scopes: ["x", "y"], refresh_token: null, token_type: "Bearer" },
    ],
    [
      "a type of its own",
      Response.json({ access_token: "a", token_type: "bot" }),
      { token_type: "bot" },
    ],
    [
      "one level below",
      Response.json({ ok: true, authed_user: { access_token: "u", refresh_token: "r" } }),
      { access_token: "u", refresh_token: "r" },
    ],
    [
      "a life of nothing",
      Response.json({ access_token: "a", expires_in: 0 }),
      { expires_in_s: null },
    ],
    [
      "an id token of whomever",
      Response.json({
        access_token: "a",
        id_token: `e30.${btoa('{"iss":"https://x","email":"ada@example.com"}')}.x`,
      }),
      { account: "ada@example.com" },
    ],
    [
      "an id token that is none",
      Response.json({ access_token: "a", id_token: "nonsense" }),
      { account: null },
    ],
  ];
  for (const [what, response, expected] of cases) {
    const { tokens, failure } = await refresh(() => response);
    assert.ok(tokens, `${what}: ${failure?.message}`);
    for (const [name, value] of Object.entries(expected)) {
      assert.deepEqual(tokens[name as keyof TokenSet], value, `${what}: ${name}`);
    }
  }
});

Deno.test("what a row says of the life and of settings is kept", async () => {
  const { tokens } = await refresh(
    () => Response.json({ access_token: "a", team: { id: "T1" }, bot: 7, list: [1] }),
    {
      token_lifetime_seconds: 1800,
      token_settings: { team: "/team/id", bot: "/bot", list: "/list", none: "/none" },
    },
  );
  assert.ok(tokens!.expires_in_s! > 1700);
  assert.deepEqual(tokens!.settings, { team: "T1", bot: 7 });
});

Deno.test("a dead grant is told from a bad hour", async () => {
  const cases: [string, Response, { code: string; isFinal: boolean }][] = [
    [
      "the standard's",
      Response.json({ error: "invalid_grant" }, { status: 400 }),
      { code: "invalid_grant", isFinal: true },
    ],
    [
      "GitHub's, with 200",
      Response.json({ error: "bad_refresh_token", error_description: "gone" }),
      { code: "bad_refresh_token", isFinal: true },
    ],
    [
      "Slack's, with 200",
      Response.json({ ok: false, error: "invalid_refresh_token" }),
      { code: "invalid_refresh_token", isFinal: true },
    ],
    [
      "HubSpot's",
      Response.json({ status: "BAD_REFRESH_TOKEN", message: "missing" }, { status: 400 }),
      { code: "bad_refresh_token", isFinal: true },
    ],
    [
      "with 401 and a challenge",
      Response.json({ error: "invalid_grant" }, {
        status: 401,
        headers: { "www-authenticate": 'Basic realm="x"' },
      }),
      { code: "invalid_grant", isFinal: true },
    ],
    [
      "a wrong client is the operator's matter",
      Response.json({ error: "invalid_client" }, { status: 401 }),
      { code: "invalid_client", isFinal: false },
    ],
    [
      "an error with 503 is no verdict",
      Response.json({ error: "invalid_grant" }, { status: 503 }),
      { code: "http_503", isFinal: false },
    ],
    [
      "nor is one with 429",
      Response.json({ error: "invalid_grant" }, { status: 429, headers: { "retry-after": "7" } }),
      { code: "http_429", isFinal: false },
    ],
    ["a page", new Response("<html>", { status: 200 }), {
      code: "invalid_response",
      isFinal: false,
    }],
    ["nothing", new Response("", { status: 400 }), { code: "http_400", isFinal: false }],
    ["no token", Response.json({ hello: 1 }), { code: "invalid_response", isFinal: false }],
    [
      "a redirect",
      new Response(null, { status: 302, headers: { location: "https://evil.example" } }),
      { code: "http_302", isFinal: false },
    ],
    [
      "too much",
      new Response("x".repeat(300_000)),
      { code: "invalid_response", isFinal: false },
    ],
  ];
  for (const [what, response, expected] of cases) {
    const { failure } = await refresh(() => response);
    assert.ok(failure, what);
    assert.deepEqual({ code: failure.code, isFinal: failure.isFinal }, expected, what);
    if (response.status === 429) assert.equal(failure.retryAfterMs, 7000);
  }
});

Deno.test("nothing that was sent comes back in a message", async () => {
  const { failure } = await refresh(({ body }) =>
    Response.json({
      error: "invalid_grant",
      error_description: `no such token: ${new URLSearchParams(body).get("refresh_token")} of ${
        new URLSearchParams(body).get("client_secret")
      }\n\u0007.`,
    }, { status: 400 })
  );
  assert.equal(failure!.message, "acme answered invalid_grant: no such token: … of … .");
});

Deno.test("an endpoint that is not there, or may not be asked, says so", async () => {
  const endpoint: Endpoint = {
    auth: { type: "oauth2", token_url: "http://127.0.0.1:9/token" },
    settings: {},
    client: { client_id: "c" },
    allowPrivate: true,
    isProviders: false,
    integration: "acme",
  };
  const code = async (over: Partial<Endpoint>) => {
    const result = await refreshTokens({ ...endpoint, ...over }, "r");
    return result.ok ? "ok" : result.failure.code;
  };
  assert.equal(await code({}), "unreachable");
  assert.equal(await code({ allowPrivate: false }), "misconfigured");
  for (
    const url of ["https://127.0.0.1/token", "https://169.254.169.254/latest", "https://[::1]/"]
  ) {
    assert.equal(
      await code({ allowPrivate: false, auth: { type: "oauth2", token_url: url } }),
      "misconfigured",
      url,
    );
  }
  assert.equal(await code({ auth: { type: "oauth2" } }), "misconfigured");
  assert.equal(await code({ client: {} }), "misconfigured");
  assert.equal(
    await code({ auth: { type: "oauth2", token_url: "https://{connection.shop}.example/token" } }),
    "misconfigured",
  );
  assert.equal(
    await code({
      auth: { type: "oauth2", token_url: "https://{connection.shop}.example/token" },
      settings: { shop: "evil.example/x?" },
    }),
    "misconfigured",
    "a setting in a host name is one label",
  );
});

Deno.test("an application asks for itself with its scopes", async () => {
  await withEndpoint(() => Response.json({ access_token: "a" }), async (endpoint, asked) => {
    const result = await clientCredentials(endpoint, ["x", "y"]);
    assert.equal(result.ok, true);
    assert.deepEqual(form(asked[0]!.body), {
      grant_type: "client_credentials",
      scope: "x,y",
      audience: "acme",
      client_id: "our client",
      client_secret: "our:secret",
    });
  }, { scope_separator: ",", token_params: { audience: "acme" } });
});

Deno.test("a code is exchanged with its verifier, unless the provider knows no PKCE", async () => {
  for (const pkce of ["S256", "none"] as const) {
    await withEndpoint(() => Response.json({ access_token: "a" }), async (endpoint, asked) => {
      const verifier = deriveVerifier("key", "state");
      const result = await exchangeCode(endpoint, {
        parameters: new URLSearchParams({ code: "the-code", state: "state", hd: "acme.example" }),
        state: "state",
        verifier,
        redirectUri: "https://us.example/callback",
      });
      assert.equal(result.ok, true);
      const { code, redirect_uri, code_verifier, grant_type } = form(asked[0]!.body);
      assert.deepEqual(
        { code, redirect_uri, code_verifier, grant_type },
        {
          code: "the-code",
          redirect_uri: "https://us.example/callback",
          code_verifier: pkce === "none" ? undefined : verifier,
          grant_type: "authorization_code",
        },
      );
    }, { pkce });
  }
});

Deno.test("a verifier belongs to its state and its key", () => {
  const verifier = deriveVerifier("key", "state");
  assert.match(verifier, /^[\w-]{43}$/);
  assert.equal(verifier, deriveVerifier("key", "state"));
  assert.notEqual(verifier, deriveVerifier("key", "state2"));
  assert.notEqual(verifier, deriveVerifier("key2", "state"));
});

Deno.test("the way to the provider is data, but for what makes it safe", async () => {
  const url = new URL(
    await authorizationUrl({
      auth: {
        type: "oauth2",
        authorize_url: "https://{connection.shop}.acme.example/authorize",
        authorize_params: {
          prompt: "consent",
          state: "evil",
          redirect_uri: "https://evil.example",
        },
        scope_separator: ",",
      },
      settings: { shop: "ada" },
      clientId: "our client",
      redirectUri: "https://us.example/callback",
      scopes: ["a", "b"],
      state: "the-state",
      verifier: deriveVerifier("key", "the-state"),
      integration: "acme",
    }),
  );
  assert.equal(url.origin, "https://ada.acme.example");
  const { code_challenge, ...rest } = Object.fromEntries(url.searchParams);
  assert.match(code_challenge!, /^[\w-]{43}$/);
  assert.deepEqual(rest, {
    prompt: "consent",
    scope: "a,b",
    response_type: "code",
    client_id: "our client",
    redirect_uri: "https://us.example/callback",
    state: "the-state",
    code_challenge_method: "S256",
  });
});

Deno.test("without a client or a URL there is no way to the provider", async () => {
  const request = {
    auth: { type: "oauth2", authorize_url: "https://acme.example/" } as Auth,
    settings: {},
    clientId: "c",
    redirectUri: "https://us.example/callback",
    scopes: [],
    state: "s",
    verifier: "v",
    integration: "acme",
  };
  for (const over of [{ clientId: undefined }, { auth: { type: "oauth2" } as Auth }]) {
    await assert.rejects(authorizationUrl({ ...request, ...over }), {
      code: "integration_misconfigured",
    });
  }
});

Deno.test("an issuer that is named must be the one that was asked", () => {
  const auth: Auth = { type: "oauth2", authorize_url: "https://acme.example/authorize" };
  assert.equal(isFromIssuer(auth, {}, null), true);
  assert.equal(isFromIssuer(auth, {}, "https://acme.example"), true);
  assert.equal(isFromIssuer(auth, {}, "https://acme.example/tenant"), true);
  for (const issuer of ["https://evil.example", "https://acme.example.evil", "acme", ""]) {
    assert.equal(isFromIssuer(auth, {}, issuer), false, issuer);
  }
  const named = { ...auth, issuer: "https://issuer.example/1" };
  assert.equal(isFromIssuer(named, {}, "https://issuer.example/1"), true);
  assert.equal(isFromIssuer(named, {}, "https://acme.example"), false);
  assert.equal(isFromIssuer(named, {}, null), false);
});

Deno.test("a provider is told of a token that is given up, as far as it listens", async () => {
  await withEndpoint(() => new Response(null), async (endpoint, asked) => {
    assert.equal(await revokeToken(endpoint, "the-token", "refresh_token"), true);
    assert.deepEqual(form(asked[0]!.body), {
      token: "the-token",
      token_type_hint: "refresh_token",
      client_id: "our client",
      client_secret: "our:secret",
    });
    const { revoke_url: _, ...auth } = endpoint.auth;
    assert.equal(await revokeToken({ ...endpoint, auth }, "the-token", "access_token"), false);
  });
  await withEndpoint(() => new Response("no", { status: 503 }), async (endpoint) => {
    assert.equal(await revokeToken(endpoint, "the-token", "refresh_token"), false);
  });
});
