import { Hono } from "hono";
import { createControl } from "./control.ts";
import { Clock } from "./core/clock.ts";
import { ContentStore } from "./core/contents.ts";
import { Faults } from "./core/faults.ts";
import { Journal } from "./core/journal.ts";
import { observe } from "./core/observe.ts";
import type { ObservedEnv, Provider, Sandbox } from "./core/provider.ts";
import { Pushes } from "./core/pushes.ts";
import { createGitHub, DOWNLOADS_AT } from "./providers/github/mod.ts";
import { createGoogle } from "./providers/google/mod.ts";
import { createJira } from "./providers/jira/mod.ts";
import { createLinear } from "./providers/linear/mod.ts";
import { createNocoDB } from "./providers/nocodb/mod.ts";
import { createOdoo } from "./providers/odoo/mod.ts";
import { createSlack } from "./providers/slack.ts";
import { createSns } from "./providers/sns/mod.ts";
import { Topics } from "./providers/sns/topics.ts";
import { createS3 } from "./s3/server.ts";

export { GITHUB_TOKEN } from "./providers/github/mod.ts";
export { GOOGLE_CREDENTIALS } from "./providers/google/mod.ts";
export { JIRA_CREDENTIALS } from "./providers/jira/mod.ts";
export { LINEAR_CREDENTIALS } from "./providers/linear/mod.ts";
export { NOCODB_TOKEN } from "./providers/nocodb/mod.ts";
export { ODOO_CREDENTIALS } from "./providers/odoo/mod.ts";
export { SLACK_TOKEN } from "./providers/slack.ts";
export { S3_CREDENTIALS } from "./s3/server.ts";

/** Where the sandbox listens; port 0 takes a free one. */
export interface SandboxOptions {
  /** REST stand-ins by path prefix, and `/_control`. */
  port: number;
  /** S3, and the storage that download URLs point to. */
  s3Port: number;
  hostname?: string;
  /** Bytes held over all providers; 8 GiB when absent. */
  storageLimitBytes?: number;
}

/** A running sandbox. */
export interface RunningSandbox {
  /** `http://127.0.0.1:<port>` */
  url: string;
  /** `http://127.0.0.1:<s3Port>` */
  s3Url: string;
  /** Ends both servers and removes what was stored. */
  stop(): Promise<void>;
}

/**
 * Starts stand-ins for the services that no test can reach: GitHub under `/github`, Google under
 * `/google`, Jira under `/jira`, Linear under `/linear`, NocoDB under `/nocodb`, Odoo under `/odoo`,
 * Slack under `/slack`, SNS under `/sns`, and S3 on a port of its own. They behave as those services
 * document, misbehave on demand (`/_control/faults`) and tell what they were asked
 * (`/_control/journal`).
 *
 * @throws Deno.errors.AddrInUse when a port is taken
 */
export function startSandbox(options: SandboxOptions): RunningSandbox {
  const { port, s3Port, hostname = "127.0.0.1", storageLimitBytes } = options;
  let storageOrigin = "";
  let restOrigin = "";
  const contents = new ContentStore(storageLimitBytes);
  const clock = new Clock();
  const sandbox: Sandbox = {
    clock,
    contents,
    faults: new Faults(),
    journal: new Journal(),
    pushes: new Pushes(clock),
    storageOrigin: () => storageOrigin,
    restOrigin: () => restOrigin,
  };

  const github = createGitHub(sandbox, "/github");
  const google = createGoogle(sandbox, "/google");
  const jira = createJira(sandbox);
  const linear = createLinear(sandbox);
  const nocodb = createNocoDB(sandbox);
  const odoo = createOdoo(sandbox);
  const slack = createSlack(sandbox);
  const topics = new Topics(sandbox, "/sns");
  const sns = createSns(sandbox, topics);
  const s3 = createS3(sandbox, topics);

  // Not strict: `/github/` is GitHub's root as much as `/github`.
  const rest = new Hono<ObservedEnv>({ strict: false });
  const storage = new Hono<ObservedEnv>();
  const mount = (host: Hono<ObservedEnv>, at: string, provider: Provider) => {
    host.use(`${at}/*`, observe(sandbox, { ...provider, mountedAt: at }));
    host.route(at === "" ? "/" : at, provider.app);
  };
  mount(rest, "/github", github);
  mount(rest, "/google", google);
  mount(rest, "/jira", jira);
  mount(rest, "/linear", linear);
  mount(rest, "/nocodb", nocodb);
  mount(rest, "/odoo", odoo);
  mount(rest, "/slack", slack);
  mount(rest, topics.mountedAt, sns);
  rest.route(
    "/_control",
    createControl(sandbox, [github, google, jira, linear, nocodb, odoo, slack, sns, s3]),
  );

  // Download URLs and S3 share the port: to a client of GitHub both are another origin.
  const downloads = new Hono<ObservedEnv>();
  mount(downloads, "", { ...github, app: github.downloads });
  mount(storage, "", s3);

  const closing = new AbortController();
  const quiet = { hostname, signal: closing.signal, onListen: () => {} };
  const restServer = Deno.serve({ ...quiet, port }, rest.fetch);
  const storageServer = Deno.serve({ ...quiet, port: s3Port }, (request) => {
    const isDownload = new URL(request.url).pathname.startsWith(`${DOWNLOADS_AT}/`);
    return (isDownload ? downloads : storage).fetch(request);
  });
  const origin = (server: Deno.HttpServer<Deno.NetAddr>) =>
    `http://${hostname}:${server.addr.port}`;
  storageOrigin = origin(storageServer);
  restOrigin = origin(restServer);

  return {
    url: restOrigin,
    s3Url: storageOrigin,
    async stop() {
      closing.abort();
      await sandbox.pushes.reset();
      await Promise.all([restServer.finished, storageServer.finished]);
      await contents.close();
    },
  };
}
