import assert from "node:assert/strict";
import { Octokit } from "@octokit/rest";
import { verify } from "@octokit/webhooks-methods";
import { GITHUB_TOKEN } from "../../mod.ts";
import { useReceiver, useSandbox } from "../../testing.ts";

const { control, url } = useSandbox();
const receiver = useReceiver();
const place = { owner: "octo-org", repo: "octo-repo" };
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const { repos, orgs } = new Octokit({ auth: GITHUB_TOKEN, baseUrl: `${url}/github`, log: quiet });
const SECRET = "it's a secret";

async function createHook(options: Record<string, unknown> = {}): Promise<number> {
  await control.createGitHubRepository();
  const { data } = await repos.createWebhook({
    ...place,
    events: ["issues"],
    config: { url: `${receiver.url}/hook`, content_type: "json", secret: SECRET },
    ...options,
  });
  await receiver.until(1);
  return data.id;
}

/** Waits until so many deliveries have ended. */
async function deliveries(hook_id: number, count: number) {
  for (;;) {
    const { data } = await repos.listWebhookDeliveries({ ...place, hook_id });
    if (data.length >= count) return data;
    await new Promise((next) => setTimeout(next, 5));
  }
}

const opened = { event: "issues", payload: { action: "opened", issue: { number: 1 } } };

Deno.test("a new hook is pinged, and its secret is never told", async () => {
  const id = await createHook();
  const [ping] = receiver.received;
  assert.equal(ping!.headers["x-github-event"], "ping");
  assert.equal(JSON.parse(ping!.body).hook_id, id);
  const { data } = await repos.getWebhook({ ...place, hook_id: id });
  assert.equal(data.config.secret, "********");
  assert(!JSON.stringify(await control.pushes()).includes(SECRET));
  assert.deepEqual(await control.gitHubHooks(), [{
    id,
    target: "octo-org/octo-repo",
    url: `${receiver.url}/hook`,
    events: ["issues"],
    active: true,
    has_secret: true,
    delivery_count: 1,
  }]);
});

Deno.test("an event is delivered to the hooks that listen, signed, with one GUID", async () => {
  const id = await createHook();
  await orgs.createWebhook({
    org: "octo-org",
    name: "web",
    events: ["*"],
    config: { url: `${receiver.url}/org`, content_type: "json" },
  });
  await receiver.until(2);
  const { guid, hooks } = await control.sendGitHubEvent(opened);
  assert.equal(hooks.length, 2);
  const received = (await receiver.until(4)).slice(2);
  assert.deepEqual(received.map(({ path }) => path).toSorted(), ["/hook", "/org"]);
  assert(received.every(({ headers }) => headers["x-github-delivery"] === guid));
  const signed = received.find(({ path }) => path === "/hook")!;
  assert(await verify(SECRET, signed.body, signed.headers["x-hub-signature-256"]!));
  assert.equal(signed.headers["x-github-hook-id"], String(id));
  assert.equal(JSON.parse(signed.body).repository.full_name, "octo-org/octo-repo");

  await control.sendGitHubEvent({ event: "push", payload: {} });
  await receiver.until(5);
  assert.equal(receiver.received[4]!.path, "/org");
});

Deno.test("a failed delivery is listed with what was sent, and delivered again when asked", async () => {
  const id = await createHook();
  receiver.answer(500);
  const { guid } = await control.sendGitHubEvent(opened);
  const [failed, ping] = await deliveries(id, 2);
  assert.deepEqual([failed?.guid, failed?.status_code, failed?.status, failed?.redelivery], [
    guid,
    500,
    "Invalid HTTP Response: 500",
    false,
  ]);
  assert.deepEqual([failed?.event, failed?.action], ["issues", "opened"]);
  assert.deepEqual([ping?.event, ping?.status], ["ping", "OK"]);
  assert.equal(receiver.received.length, 2);

  const at = { ...place, hook_id: id, delivery_id: failed!.id };
  const { data } = await repos.getWebhookDelivery(at);
  assert.equal(data.request.payload?.action, "opened");
  assert.equal(data.request.headers?.["x-github-delivery"], guid);
  const { status } = await repos.redeliverWebhookDelivery(at);
  assert.equal(status, 202);
  const [again] = await deliveries(id, 3);
  assert.deepEqual([again?.guid, again?.status_code, again?.redelivery], [guid, 204, true]);
});

Deno.test("a lost delivery is listed as one that found nobody", async () => {
  const id = await createHook();
  await control.setPushes({ provider: "github", delivery: "drop" });
  await control.sendGitHubEvent(opened);
  const [lost] = await deliveries(id, 2);
  assert.deepEqual([lost?.status_code, lost?.status], [502, "failed to connect to host"]);
  assert.equal(receiver.received.length, 1);
});

Deno.test("deliveries are paged by cursor and forgotten after three days", async () => {
  const id = await createHook();
  for (let count = 2; count <= 5; count++) {
    await control.sendGitHubEvent(opened);
    await deliveries(id, count);
  }
  const first = await repos.listWebhookDeliveries({ ...place, hook_id: id, per_page: 3 });
  const cursor = /cursor=(v1_\d+)/.exec(first.headers.link ?? "")?.[1];
  const second = await repos.listWebhookDeliveries({ ...place, hook_id: id, per_page: 3, cursor });
  const events = [...first.data, ...second.data].map(({ event }) => event);
  assert.deepEqual(events, ["issues", "issues", "issues", "issues", "ping"]);
  assert.equal(second.headers.link, undefined);
  await control.advanceClock(4 * 86_400_000);
  assert.deepEqual((await repos.listWebhookDeliveries({ ...place, hook_id: id })).data, []);
});

Deno.test("a hook is changed, paused, pinged and deleted", async () => {
  const id = await createHook();
  const at = { ...place, hook_id: id };
  const { data } = await repos.updateWebhook({ ...at, add_events: ["push"], active: false });
  assert.deepEqual([data.events, data.active], [["issues", "push"], false]);
  assert.deepEqual((await control.sendGitHubEvent(opened)).hooks, []);
  await repos.updateWebhook({ ...at, config: { url: `${receiver.url}/moved` } });
  assert.equal((await control.gitHubHooks())[0]?.has_secret, false);
  await repos.updateWebhookConfigForRepo({ ...at, secret: "another", content_type: "form" });
  await repos.pingWebhook(at);
  const [, ping] = await receiver.until(2);
  assert.equal(ping!.path, "/moved");
  assert.equal(JSON.parse(new URLSearchParams(ping!.body).get("payload")!).hook_id, id);
  assert(await verify("another", ping!.body, ping!.headers["x-hub-signature-256"]!));
  await repos.deleteWebhook(at);
  assert.deepEqual((await repos.listWebhooks(place)).data, []);
});

Deno.test("a second hook of the same kind, a wrong address and a stranger are refused", async () => {
  await createHook();
  const refused = async (call: Promise<unknown>) => {
    const error = await call.then(() => assert.fail("not refused"), (error) => error);
    return `${error.status} ${error.response.data.errors?.[0].message ?? error.message}`;
  };
  assert.match(await refused(createHook()), /^422 Hook already exists on this repository/);
  for (const address of ["https://example.com/hook", "http://10.0.0.1/", "127.0.0.1"]) {
    const config = { url: address };
    assert.match(await refused(repos.createWebhook({ ...place, config })), /^422 url is /);
  }
  const hook = repos.getWebhook({ ...place, hook_id: 1 });
  assert.match(await refused(hook), /^404/);
  const anonymous = new Octokit({ baseUrl: `${url}/github`, log: quiet });
  assert.match(await refused(anonymous.repos.listWebhooks(place)), /^401/);
});
