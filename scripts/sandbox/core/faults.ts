import { z } from "zod";
import { globToRegExp } from "./globs.ts";

/** A misbehaviour on demand, as `POST /_control/faults` takes it. */
export const FaultRequest = z.strictObject({
  /**
   * Which provider misbehaves: `github`, `google`, `jira`, `linear`, `nocodb`, `odoo`, `slack`, `sns`,
   * `s3`.
   */
  provider: z.string().min(1),
  /** Only this HTTP method. */
  method: z.string().transform((method) => method.toUpperCase()).optional(),
  /** Glob over the path as the provider documents it (`/drive/v3/files`, `/bucket/**`). */
  path: z.string().default("**"),
  /** How many requests are hit before the fault is used up. */
  times: z.int().min(1).default(1),
  /** How many matching requests pass unharmed first. */
  skip: z.int().min(0).default(0),
  /** Answer with this status instead of doing anything. */
  status: z.int().min(200).max(599).optional(),
  /** Answer with this error of the provider's own list, in the provider's own shape. */
  error: z.string().optional(),
  /** Answer with exactly this body (text, or JSON) instead of the provider's error shape. */
  body: z.union([z.string(), z.record(z.string(), z.unknown())]).optional(),
  /** Headers to add to the answer. */
  headers: z.record(z.string(), z.string()).default({}),
  /** Wait this long before doing anything. */
  delay_ms: z.int().min(0).max(120_000).default(0),
  /**
   * Break the connection. `before_body` and `mid_body` do the work and lose the answer;
   * `mid_upload` loses the second half of the request body.
   */
  cut: z.enum(["before_body", "mid_body", "mid_upload"]).optional(),
  /** Answer as the provider does when called too often. */
  rate_limit: z.strictObject({ retry_after: z.int().min(0) }).optional(),
  /** Alter one byte in transit: of what is stored (writes), or of what is served (reads). */
  corrupt: z.boolean().default(false),
});
/** The input form of {@linkcode FaultRequest}. */
export type FaultRequest = z.input<typeof FaultRequest>;

/** A registered fault and how often it has been applied. */
export interface Fault extends z.output<typeof FaultRequest> {
  id: string;
  applied: number;
}

/** What a provider is to refuse a request with, in its own shape. */
export interface Refusal {
  /** HTTP status that was asked for; the provider knows the usual one of each error. */
  status?: number;
  /** The provider's own error name. */
  error?: string;
  /** Seconds; set when the refusal is a rate limit. */
  retryAfter?: number;
}

/** The faults in force, first registered first applied. */
export class Faults {
  #faults: (Fault & { pattern: RegExp; seen: number })[] = [];
  #nextId = 1;

  add(request: z.output<typeof FaultRequest>): Fault {
    const fault = {
      ...request,
      id: `fault-${this.#nextId++}`,
      applied: 0,
      seen: 0,
      pattern: globToRegExp(request.path),
    };
    this.#faults.push(fault);
    return describe(fault);
  }

  /** The fault to apply to a request, counted as applied; `undefined` when none matches. */
  take(request: { provider: string; method: string; path: string }): Fault | undefined {
    for (const fault of this.#faults) {
      const matches = fault.provider === request.provider && fault.applied < fault.times &&
        (fault.method === undefined || fault.method === request.method) &&
        fault.pattern.test(request.path);
      if (!matches || fault.seen++ < fault.skip) continue;
      fault.applied++;
      return describe(fault);
    }
    return undefined;
  }

  list(): Fault[] {
    return this.#faults.map(describe);
  }

  clear(): void {
    this.#faults = [];
  }
}

function describe(fault: Fault & { pattern: RegExp; seen: number }): Fault {
  const { pattern: _pattern, seen: _seen, ...described } = fault;
  return described;
}
