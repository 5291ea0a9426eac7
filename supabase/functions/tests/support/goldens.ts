/** What the providers' documentation prints: `_shared/gateway/golden/<provider>.json`. */
import type { ProviderRow } from "../../_shared/gateway/catalogue.ts";
import type { Part } from "../../_shared/gateway/request.ts";

/** Examples of one provider. */
export interface Golden {
  /** The connection's way in; absent: the provider's own. */
  auth?: ProviderRow["auth_type"];
  settings?: Record<string, string | number>;
  secrets?: Record<string, string>;
  /** An integration's `api_base`, for providers that have no URL of their own. */
  api_base?: string;
  /** Headers of every request, credentials included. */
  headers: Record<string, string>;
  requests: GoldenRequest[];
}

/** One example; its body in one of `json`, `form` and `parts`, none otherwise. */
export interface GoldenRequest {
  action: string;
  parameters: Record<string, unknown>;
  /** `METHOD url` */
  sends: string;
  headers?: Record<string, string>;
  idempotency_key?: string;
  json?: unknown;
  form?: Record<string, string>;
  parts?: Part[];
  /** The handler makes the body; these parameters are left to it. */
  rest?: Record<string, unknown>;
  /** What the provider answers, and what becomes of it. */
  answer?: unknown;
  link?: string;
  /** Parameters that change for the next page, all of them for a link; null: there is none. */
  next?: Record<string, unknown> | null;
  result?: unknown;
}

const FOLDER = new URL("../../_shared/gateway/golden/", import.meta.url);

/** The examples by provider, in the order of their names. */
export function loadGoldens(): Map<string, Golden> {
  const files = [...Deno.readDirSync(FOLDER)].map(({ name }) => name).sort();
  return new Map(files.map((name) => {
    const text = Deno.readTextFileSync(new URL(name, FOLDER));
    return [name.replace(/\.json$/, ""), JSON.parse(text)];
  }));
}
