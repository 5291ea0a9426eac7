/** Answers a workflow's calls as marketplace-jobs, marketplace-execute, source and destinations. */
import { createHash } from "node:crypto";

/** An artifact of a run, and what goes wrong with it. */
export interface Fixture {
  name: string;
  bytes: Uint8Array;
  kind: string;
  /** Answer this status to the first so many requests for it. */
  fail?: { on: "ticket" | "source" | "upload"; status: number; times: number };
  contentType?: string;
}

/** What a job is made of, and what goes wrong with it. */
export interface Run {
  artifacts: Fixture[];
  skipped?: { name: string; reason: string }[];
  /** Status of answers by path, e.g. `{"plan": 500}`. */
  status?: Record<string, number>;
  /** Bodies of answers by path, instead of those that a workflow expects. */
  answers?: Record<string, unknown>;
  /** Paths that are never answered. */
  silent?: string[];
  notify?: boolean;
  /** Told of each request, by its path. */
  onCall?: (path: string) => void;
}

/** One request that arrived. */
export interface Call {
  /** When, in milliseconds since 1970. */
  at: number;
  path: string;
  body: Record<string, unknown>;
  headers: Headers;
  /** SHA-256 of the raw body, hex. */
  sha256: string;
  bytes: number;
}

/** Starts the stand-in on a free port of loopback. */
export function standIn() {
  const runs = new Map<string, Run & { token: string; calls: Call[]; failures: number[] }>();
  const ended = Promise.withResolvers<Response>();
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, handle);
  const base = `http://127.0.0.1:${server.addr.port}`;

  async function handle(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const [, area, id, ...rest] = pathname.split("/");
    const raw = new Uint8Array(await request.arrayBuffer());
    const isJson = request.headers.get("content-type")?.startsWith("application/json") &&
      (area === "jobs" || area === "execute");
    const token = request.headers.get("authorization")?.replace("Bearer ", "");
    const run = area === "execute"
      ? [...runs.values()].find((each) => each.token === token)
      : runs.get(id!);
    if (run === undefined) return new Response("no such job", { status: 404 });
    const path = area === "jobs" ? rest.join("/") : [area, ...rest].join("/");
    run.calls.push({
      at: Date.now(),
      path,
      body: isJson && raw.length > 0 ? JSON.parse(new TextDecoder().decode(raw)) : {},
      headers: request.headers,
      sha256: createHash("sha256").update(raw).digest("hex"),
      bytes: raw.length,
    });
    run.onCall?.(path);
    if ((area === "jobs" || area === "execute") && token !== run.token) {
      return Response.json({ error: { code: "unauthorized" } }, { status: 401 });
    }
    const status = run.status?.[path];
    if (status !== undefined) {
      return Response.json({ error: { code: "broken", message: "told to fail" } }, { status });
    }
    if (run.silent?.includes(path)) return await ended.promise;
    const answer = run.answers?.[path];
    if (answer !== undefined) return Response.json(answer);
    const body = run.calls.at(-1)!.body;
    if (area === "jobs") return await jobs(run, id!, path, body);
    if (area === "execute") return Response.json({ ok: true });

    const index = Number(rest[0]);
    const artifact = run.artifacts[index]!;
    const broken = failed(run, index, area === "source" ? "source" : "upload");
    if (broken) return broken;
    if (area === "source") {
      if (request.headers.get("x-ticket") !== `source-${index}`) {
        return new Response("ticket headers are missing", { status: 403 });
      }
      return new Response(artifact.bytes.slice(), {
        headers: { "content-type": "application/zip" },
      });
    }
    if (request.method !== "PUT" || request.headers.get("x-ticket") !== `upload-${index}`) {
      return new Response("not what the ticket says", { status: 403 });
    }
    return area === "drive"
      ? Response.json({ id: "file", name: artifact.name })
      : new Response(null, { status: 200 });
  }

  function failed(run: { artifacts: Fixture[]; failures: number[] }, index: number, on: string) {
    const fail = run.artifacts[index]!.fail;
    if (fail?.on !== on || run.failures[index]! >= fail.times) return undefined;
    run.failures[index]!++;
    return new Response("told to fail", { status: fail.status });
  }

  async function jobs(
    run: Run & { failures: number[] },
    id: string,
    path: string,
    body: Record<string, unknown>,
  ): Promise<Response> {
    switch (path) {
      case "plan":
        return Response.json({
          job: { id, status: "running" },
          artifacts: run.artifacts.map((artifact, index) => ({
            id: `artifact-${index}`,
            name: artifact.name,
            source_path: `artifacts/${artifact.name}`,
            content_type: "application/zip",
            size_bytes: artifact.bytes.length,
            destination_path: `mirror/${artifact.name}`,
            status: "planned",
          })),
          skipped: run.skipped ?? [],
          completed: 0,
        });
      case "heartbeat":
        return Response.json({ lease_expires_at: new Date(Date.now() + 300_000).toISOString() });
      case "tickets": {
        const index = Number(String(body.artifact_id).slice("artifact-".length));
        const artifact = run.artifacts[index]!;
        const broken = failed(run, index, "ticket");
        if (broken) return broken;
        const area = artifact.kind === "s3" ? "s3" : "drive";
        return Response.json({
          artifact_id: body.artifact_id,
          source: {
            method: "GET",
            url: `${base}/source/${id}/${index}?sig=source-secret`,
            headers: { "X-Ticket": `source-${index}` },
          },
          destination: {
            kind: artifact.kind,
            method: "PUT",
            url: `${base}/${area}/${id}/${index}?sig=upload-secret`,
            headers: {
              "X-Ticket": `upload-${index}`,
              ...(artifact.contentType ? { "Content-Type": artifact.contentType } : {}),
            },
          },
          content_type: artifact.contentType ?? "application/zip",
          size_bytes: artifact.bytes.length,
        });
      }
      case "artifacts":
        return Response.json({
          id: body.artifact_id,
          status: body.status === "uploaded" ? "completed" : "failed",
          destination: `https://drive.example/${body.artifact_id}`,
        });
      case "complete": {
        const reports = run.artifacts.length === 0 ? [] : runs.get(id)!.calls
          .filter((call) => call.path === "artifacts" && call.body.status === "failed");
        return Response.json({
          status: reports.length === 0 ? "completed" : "pending",
          failed: reports.length,
        });
      }
      case "fail":
        return Response.json({ status: "pending" });
      default:
        return await Promise.resolve(new Response("unknown path", { status: 404 }));
    }
  }

  return {
    /** Takes a run in and returns its dispatch. */
    add(run: Run) {
      const id = crypto.randomUUID();
      const token = `job-token-${crypto.randomUUID()}`;
      const calls: Call[] = [];
      runs.set(id, { ...run, token, calls, failures: run.artifacts.map(() => 0) });
      const dispatch = {
        type: "job.dispatched",
        timestamp: new Date().toISOString(),
        data: {
          job: {
            id,
            attempt: 1,
            max_attempts: 3,
            lease_expires_at: new Date(Date.now() + 300_000).toISOString(),
            correlation_id: crypto.randomUUID(),
            token,
            url: `${base}/jobs/${id}`,
          },
          execute_url: `${base}/execute`,
          workflow: "github-artifacts-mirror",
          rule: { id: crypto.randomUUID(), name: 'Rule "A" <b> & ünïcode' },
          event: {
            id: crypto.randomUUID(),
            type: "workflow_run",
            provider: "github",
            integration: "github-actions",
            resource_path: "refs/heads/main",
            occurred_at: new Date().toISOString(),
          },
          source: { integration: "github-actions", provider: "github" },
          destination: { integration: "google-drive", provider: "google_drive" },
          notify: run.notify
            ? { integration: "slack", action: "chat.postMessage", channel: "#ci-artifacts" }
            : null,
        },
      };
      return { id, token, calls, dispatch };
    },
    async stop() {
      ended.resolve(new Response(null, { status: 503 }));
      await server.shutdown();
    },
  };
}
