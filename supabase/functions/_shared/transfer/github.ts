/**
 * GitHub as a source: the artifacts of a workflow run.
 *
 * @see https://docs.github.com/en/rest/actions/artifacts
 */
import { z } from "zod";
import { AppError } from "../errors.ts";
import { allowsPrivateNetwork } from "../oauth/context.ts";
import { callProvider, failure, parseAnswer, type ProviderCall } from "../provider_http.ts";
import { withToken } from "./access_token.ts";
import { extensionOf } from "./template.ts";
import type { Integration, Source, SourceEvent, SourceObject, TransferRequest } from "./types.ts";

const API = "https://api.github.com";
const PAGE_SIZE = 100;
/** A run has at most 500 artifacts a job; nobody has this many pages. */
const MAX_PAGES = 50;
/** Downloads looked at in parallel. */
const PROBES = 5;

const RunEvent = z.object({
  repository: z.object({
    name: z.string(),
    full_name: z.string().regex(/^[A-Za-z0-9_.-]+\/[A-Za-z0-9_.-]+$/),
    owner: z.object({ login: z.string() }),
  }),
  workflow: z.object({ name: z.string().nullish() }).nullish(),
  workflow_run: z.object({
    id: z.number().int().positive(),
    name: z.string().nullish(),
    head_branch: z.string().nullish(),
    head_sha: z.string(),
    run_number: z.number().int().nullish(),
    run_attempt: z.number().int().nullish(),
    event: z.string().nullish(),
    actor: z.object({ login: z.string() }).nullish(),
  }),
});

const ArtifactList = z.object({
  total_count: z.number().int().min(0),
  artifacts: z.array(z.object({
    id: z.number().int().positive(),
    name: z.string(),
    size_in_bytes: z.number().int().min(0),
    expired: z.boolean(),
    digest: z.string().nullish(),
  })),
});

/** GitHub Actions artifacts. */
export const github: Source = {
  async list(integration, event) {
    const { repository, workflow_run: run } = readEvent(event);
    const path = `/repos/${repository.full_name}/actions/runs/${run.id}/artifacts`;
    const objects: SourceObject[] = [];
    for (let page = 1; page <= MAX_PAGES; page++) {
      const call = apiCall(integration, `${path}?per_page=${PAGE_SIZE}&page=${page}`);
      const answer = await send(integration, call);
      const parsed = ArtifactList.safeParse(parseAnswer(call, answer));
      if (!parsed.success) {
        throw failure(call, "invalid_response", 502, "did not answer with a list of artifacts", {
          cause: parsed.error,
          status: answer.status,
        });
      }
      const { artifacts, total_count: total } = parsed.data;
      for (const artifact of artifacts) {
        const sha256 = /^sha256:([0-9a-f]{64})$/i.exec(artifact.digest ?? "")?.[1]?.toLowerCase();
        objects.push({
          ref: String(artifact.id),
          name: artifact.name,
          type: extensionOf(artifact.name) || "zip",
          extension: "zip",
          content_type: "application/zip",
          // Artifacts without a digest are of the old kind, whose size is that before zipping.
          size_bytes: sha256 ? artifact.size_in_bytes : null,
          sha256: sha256 ?? null,
          is_expired: artifact.expired,
        });
      }
      if (artifacts.length < PAGE_SIZE || objects.length >= total) break;
    }
    // Pages shift while a run still uploads: the same artifact can stand on two of them.
    const unique = [...new Map(objects.map((object) => [object.ref, object])).values()];
    await recognisePlainFiles(integration, event, unique);
    return unique;
  },

  async ticket(integration, event, { ref }): Promise<TransferRequest> {
    if (event) return await downloadLink(integration, event, ref);
    throw new AppError(
      "event_missing",
      422,
      "Artifacts belong to a run, which only an event names.",
    );
  },

  placeholders(event) {
    const { repository, workflow, workflow_run: run } = readEvent(event);
    const text = (value: number | null | undefined) => value == null ? null : String(value);
    return {
      workflow: run.name ?? workflow?.name ?? null,
      repo: repository.name,
      owner: repository.owner.login,
      branch: run.head_branch ?? null,
      run_id: String(run.id),
      run_number: text(run.run_number),
      run_attempt: text(run.run_attempt),
      sha: run.head_sha,
      short_sha: run.head_sha.slice(0, 7),
      actor: run.actor?.login ?? null,
      trigger: run.event ?? null,
    };
  },
};

async function downloadLink(
  integration: Integration,
  event: SourceEvent,
  ref: string,
): Promise<TransferRequest> {
  const { repository } = readEvent(event);
  const path = `/repos/${repository.full_name}/actions/artifacts/${encodeURIComponent(ref)}/zip`;
  const call = { ...apiCall(integration, path), accept: [302] };
  const answer = await send(integration, call);
  const location = answer.headers.get("location");
  if (answer.status !== 302 || !location || !URL.canParse(location)) {
    throw failure(call, "invalid_response", 502, "did not redirect to a download", {
      status: answer.status,
    });
  }
  // The signed URL is the permission: our token must not go along.
  return { method: "GET", url: location, headers: {} };
}

/**
 * An artifact uploaded with `archive: false` is its one file, and only the download itself says so.
 * It is named like the file, so that only names with an extension are looked at.
 */
async function recognisePlainFiles(
  integration: Integration,
  event: SourceEvent,
  objects: SourceObject[],
): Promise<void> {
  const named = objects.filter(({ type, is_expired }) => type !== "zip" && !is_expired);
  for (let i = 0; i < named.length; i += PROBES) {
    await Promise.all(
      named.slice(i, i + PROBES).map(async (object) => {
        try {
          const { url } = await downloadLink(integration, event, object.ref);
          const head = await callProvider({
            role: "source",
            integration: integration.slug,
            method: "HEAD",
            url,
            allowPrivate: allowsPrivateNetwork(integration),
          });
          const type = head.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
          const disposition = head.headers.get("content-disposition") ?? "";
          const isZip = !type || /zip/.test(type) || /\.zip"?\s*(;|$)/i.test(disposition);
          if (isZip) return;
          object.extension = object.type;
          object.content_type = type;
        } catch (error) {
          // Then it is called a zip, as nearly all are; the transfer itself tells what is wrong.
          if (!(error instanceof AppError) || error.retryable) throw error;
        }
      }),
    );
  }
}

function readEvent(event: SourceEvent): z.infer<typeof RunEvent> {
  const parsed = RunEvent.safeParse(event.payload);
  if (parsed.success) return parsed.data;
  throw new AppError(
    "event_unsupported",
    422,
    `The event ${event.event_type} names no workflow run: artifacts can only be planned for ` +
      "workflow_run events.",
    { cause: parsed.error },
  );
}

function apiCall(integration: Integration, path: string): ProviderCall {
  return {
    role: "source",
    integration: integration.slug,
    url: `${integration.base_url ?? API}${path}`,
    home: API,
    headers: { accept: "application/vnd.github+json", "x-github-api-version": "2022-11-28" },
    allowPrivate: allowsPrivateNetwork(integration),
    ...(integration.onRateLimit ? { onRateLimit: integration.onRateLimit } : {}),
  };
}

function send(integration: Integration, call: ProviderCall) {
  return withToken(integration, "source", (token) =>
    callProvider({
      ...call,
      headers: { ...call.headers, authorization: `Bearer ${token}` },
    }));
}
