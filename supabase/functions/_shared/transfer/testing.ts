/** For tests: a provider sandbox, integrations that point to it, and a store in memory. */
import { createHash } from "node:crypto";
import {
  GITHUB_TOKEN,
  GOOGLE_CREDENTIALS,
  type RunningSandbox,
  S3_CREDENTIALS,
  startSandbox,
} from "../../../../scripts/sandbox/mod.ts";
import { type GitHubRunFixture, SandboxClient } from "../../../../scripts/sandbox/client.ts";
import type { DestinationStore, Integration, SourceEvent, TransferRequest } from "./types.ts";

/** Runs a test against a sandbox of its own. */
export async function withSandbox(test: (sandbox: TestSandbox) => Promise<void>): Promise<void> {
  const running = startSandbox({ port: 0, s3Port: 0 });
  try {
    await test(new TestSandbox(running));
  } finally {
    await running.stop();
  }
}

/** A sandbox, its control, and integrations that point to it. */
export class TestSandbox extends SandboxClient {
  constructor(readonly running: RunningSandbox) {
    super(running.url);
  }

  /** Makes a run with artifacts and the event that announces it. */
  async run(
    artifacts: GitHubRunFixture["artifacts"],
  ): Promise<SourceEvent & { refs: string[] }> {
    const made = await this.createGitHubRun({ artifacts });
    return { ...runEvent(made.run_id), refs: made.artifacts.map(({ id }) => String(id)) };
  }

  github(over: Partial<Integration> = {}): Integration {
    return integration("github", {
      base_url: `${this.running.url}/github`,
      credentials: { api_token: GITHUB_TOKEN },
      ...over,
    });
  }

  /** A Drive whose tokens come from the sandbox's token endpoint, each when it is asked for. */
  drive(over: Partial<Integration> = {}): Integration {
    return integration("google_drive", {
      base_url: `${this.running.url}/google/drive/v3`,
      tokens: keepUntilRefused(() => this.googleToken()),
      ...over,
    });
  }

  async googleToken(): Promise<string> {
    const response = await fetch(`${this.running.url}/google/oauth2/token`, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "refresh_token",
        refresh_token: GOOGLE_CREDENTIALS.refreshToken,
        client_id: GOOGLE_CREDENTIALS.clientId,
        client_secret: GOOGLE_CREDENTIALS.clientSecret,
      }),
    });
    return (await response.json()).access_token;
  }

  s3(config: Record<string, unknown> = {}, over: Partial<Integration> = {}): Integration {
    return integration("aws_s3", {
      credentials: {
        access_key_id: S3_CREDENTIALS.accessKeyId,
        secret_access_key: S3_CREDENTIALS.secretAccessKey,
      },
      config: {
        bucket: "artifacts",
        endpoint: this.running.s3Url,
        region: S3_CREDENTIALS.region,
        ...config,
      },
      ...over,
    });
  }
}

function keepUntilRefused(
  fetchToken: () => Promise<string>,
): (refused?: string) => Promise<string> {
  let kept: string | undefined;
  return async (refused) => {
    if (kept === undefined || kept === refused) kept = await fetchToken();
    return kept;
  };
}

/** An integration of nobody's organization. */
function integration(provider: string, over: Partial<Integration>): Integration {
  return {
    id: crypto.randomUUID(),
    slug: `test-${provider.replaceAll("_", "-")}`,
    provider,
    base_url: null,
    is_default: false,
    credentials: {},
    ...over,
    // The sandbox is on this machine.
    config: { allow_private_network: true, ...over.config },
  };
}

/** The event of a finished run in the sandbox's default repository. */
export function runEvent(runId: number): SourceEvent {
  return {
    event_type: "workflow_run.completed",
    provider: "github",
    resource_path: "artifacts/",
    occurred_at: "2026-03-01T12:34:56Z",
    payload: {
      repository: {
        name: "octo-repo",
        full_name: "octo-org/octo-repo",
        owner: { login: "octo-org" },
      },
      workflow_run: {
        id: runId,
        name: "CI",
        head_branch: "feature/login",
        head_sha: "009b8a3a9ccbb128af87f9b1c0f4c62e8a304f6d",
        run_number: 42,
        event: "push",
      },
    },
  };
}

/** The database's part of a transfer, in memory. */
export class MemoryStore implements DestinationStore {
  ref: string | null = null;
  readonly folders = new Map<string, string>();

  keepRef(destinationRef: string): Promise<void> {
    this.ref = destinationRef;
    return Promise.resolve();
  }

  agreeOnFolder(path: string, proposedId: string): Promise<string> {
    const agreed = this.folders.get(path) ?? proposedId;
    this.folders.set(path, agreed);
    return Promise.resolve(agreed);
  }

  forgetFolder(path: string): Promise<void> {
    for (const known of this.folders.keys()) {
      if (known === path || known.startsWith(`${path}/`)) this.folders.delete(known);
    }
    return Promise.resolve();
  }
}

/** Carries out a ticket as a workflow does: with nothing but the ticket. */
export async function carryOut(
  { method, url, headers }: TransferRequest,
  body?: Uint8Array<ArrayBuffer>,
): Promise<{ status: number; bytes: Uint8Array<ArrayBuffer> }> {
  const response = await fetch(url, { method, headers, ...(body ? { body } : {}) });
  return { status: response.status, bytes: new Uint8Array(await response.arrayBuffer()) };
}

/** Hex digest. */
export function digest(algorithm: "md5" | "sha256", bytes: Uint8Array): string {
  return createHash(algorithm).update(bytes).digest("hex");
}
