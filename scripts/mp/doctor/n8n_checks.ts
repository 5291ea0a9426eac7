/**
 * n8n: whether it answers, and runs what this repository holds.
 * @module
 */
import { compareWorkflows, liveWorkflows } from "../../deploy/workflows.ts";
import { readWorkflows } from "../../n8n/import.ts";
import { canEnterN8n, withN8n } from "../n8n_access.ts";
import type { Place } from "../place.ts";
import type { Sql } from "../session.ts";
import { type Check, type Finding, Skipped } from "./check.ts";

/** Active n8n workflows whose endpoint is a webhook's path. */
async function registered(sql: Sql): Promise<{ slug: string; endpoint: string }[]> {
  return await sql<{ slug: string; endpoint: string }[]>`
    select w.slug, w.endpoint from marketplace.workflows as w
    where w.kind = 'n8n' and w.is_active and w.endpoint !~ '^https?://' order by w.slug`;
}

function urlOf({ n8nUrl }: Place): string {
  if (n8nUrl) return n8nUrl.replace(/\/+$/, "");
  throw new Skipped("N8N_URL is not known here");
}

const get = (url: string) =>
  fetch(url, { signal: AbortSignal.timeout(10_000), redirect: "manual" });

const reachable: Check = {
  name: "n8n_reachable",
  title: "n8n answers",
  async run({ place }) {
    const url = urlOf(place);
    const remedy = "Is it running, and N8N_URL right? Locally: deno task start";
    try {
      const response = await get(`${url}/healthz`);
      await response.body?.cancel();
      if (response.ok) return [];
      return [{ subject: "n8n", message: `${url}/healthz answers ${response.status}.`, remedy }];
    } catch (error) {
      const message = `${url} cannot be reached: ${(error as Error).message}`;
      return [{ subject: "n8n", message, remedy }];
    }
  },
};

const workflows: Check = {
  name: "n8n_workflows",
  title: "n8n runs the repository's workflows as they are",
  async run({ sql, place }) {
    const url = urlOf(place);
    const rows = await registered(sql);
    const findings = await Promise.all(rows.map(({ slug, endpoint }) => probe(url, slug, endpoint)))
      .catch((error) => {
        throw new Skipped(`${url} cannot be reached: ${error.message}`);
      });
    if (!await canEnterN8n(place)) return findings.flat();

    const items = compareWorkflows(await readWorkflows(), await withN8n(place, liveWorkflows));
    const different = items.filter(({ state }) => state !== "same").map((
      { name, state, note },
    ) => ({
      subject: name,
      message: state === "new"
        ? "is not in n8n."
        : note
        ? `is in n8n, but ${note}.`
        : "is another one in n8n than in n8n/workflows.",
      remedy: state === "new" || note ? "mp n8n push" : "mp n8n diff; then mp n8n push, or pull",
    }));
    // What the comparison explains needs no second mention.
    const known = new Set(different.map(({ subject }) => subject));
    return [...different, ...findings.flat().filter(({ subject }) => !known.has(subject))];
  },
};

/** Asks a webhook by GET whether it would take a POST, which starts nothing. */
async function probe(url: string, slug: string, endpoint: string): Promise<Finding[]> {
  const path = endpoint.split("/").filter(Boolean).map(encodeURIComponent).join("/");
  const response = await get(`${url}/webhook/${path}`);
  const text = await response.text();
  if (response.status !== 404 || text.includes("POST request")) return [];
  return [{
    subject: slug,
    message: `n8n has no published workflow that listens on /webhook/${path}.`,
    remedy: `mp n8n push; or publish it in n8n; or mp workflows pause ${slug}`,
  }];
}

/** The checks of n8n. */
export const N8N_CHECKS: Check[] = [reachable, workflows];
