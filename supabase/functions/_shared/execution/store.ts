/** The two round trips of an execution. */
import { type Sql, toJsonText } from "../db.ts";
import { environmentCredentials } from "../jobs/environment.ts";
import { SharedStatement } from "../shared_statement.ts";
import type {
  BeginAnswer,
  BeginRequest,
  Begun,
  CallerProof,
  ExecutionIds,
  Refusal,
} from "./types.ts";

/** What `marketplace.finish_executions` is told of one. */
export interface FinishReport extends ExecutionIds {
  action: string;
  /** It changes nothing at the provider. */
  is_read_only: boolean;
  outcome: "succeeded" | "failed";
  /** The provider's; null: it did not answer. */
  status_code: number | null;
  /** Requests that went to the provider. */
  attempt_count: number;
  duration_ms: number;
  error_code: string | null;
  error_message: string | null;
  /** Redacted. */
  request: unknown;
  /** Redacted. */
  response: unknown;
  /** Quota units that were used. */
  spent: number;
  observed: {
    name: string;
    limit_count: number;
    remaining: number;
    resets_at: string | null;
  }[];
  /** How long the provider asked to be left alone with this action. */
  retry_after_ms: number | null;
  /** How long until the limit that stopped it starts anew; null: nobody says, or none did. */
  wait_ms: number | null;
  /** Whether the answer is kept; else the idempotency key is free again. */
  is_kept: boolean;
  http_status: number;
  /** null: too large to be kept. */
  answer: unknown;
}

/** An execution in the background, as `marketplace.read_execution` tells it. */
export interface ExecutionState {
  execution_id: string;
  correlation_id: string;
  action: string;
  /** `lost`: it never reported. */
  status: "running" | "succeeded" | "failed" | "lost";
  created_at: string;
  finished_at: string | null;
  http_status: number | null;
  answer: unknown;
}

/**
 * Does all that must be done before a provider is called.
 *
 * @throws MK401 for callers who prove nothing
 */
export async function beginExecution(sql: Sql, request: BeginRequest): Promise<BeginAnswer> {
  const { integration = "", connection_id = "", idempotency_key = "" } = request;
  const [row] = await sharedBy(sql).begins.add([{
    text: toJsonText({ ...request, ...environmentCredentials() }),
    account: `${integration} ${connection_id} ${idempotency_key}`,
  }]);
  const { error, replay, refusal, ...rest } = row!;
  if (error) throw Object.assign(new Error(error.message), error);
  const { correlation_id } = rest;
  if (replay) return { kind: "replay", correlation_id, ...replay };
  if (!refusal) return { kind: "begun", begun: rest as Begun };
  const { execution_id } = rest;
  return { kind: "refused", correlation_id, refusal, ...(execution_id ? { execution_id } : {}) };
}

/** Reports how an execution ended. May be repeated: only the first report counts. */
export async function finishExecution(sql: Sql, report: FinishReport): Promise<void> {
  await sharedBy(sql).reports.add([toJsonText(report)]);
}

/** A request, and what it may wait for others with. */
interface Begin {
  text: string;
  account: string;
}

/** What those who come while a statement is under way share the next ones by. */
interface Shared {
  begins: SharedStatement<Begin, BeginRow>;
  reports: SharedStatement<string, void>;
}

const shared = new WeakMap<Sql, Shared>();

function sharedBy(sql: Sql): Shared {
  let statements = shared.get(sql);
  if (!statements) {
    statements = {
      begins: new SharedStatement({
        run: (begins) => beginAll(sql, begins),
        sizeOf: ({ text }) => text.length,
        maxItems: 16,
      }),
      reports: new SharedStatement({
        run: async (texts) => {
          await sql`select marketplace.finish_executions(${`[${texts.join()}]`}::text::jsonb)`;
          return texts.map(() => {});
        },
        sizeOf: (text) => text.length,
      }),
    };
    shared.set(sql, statements);
  }
  return statements;
}

async function beginAll(sql: Sql, begins: Begin[]): Promise<BeginRow[]> {
  if (begins.length === 1) {
    const [row] = await sql<{ answer: BeginRow }[]>`
      select marketplace.begin_execution(${begins[0]!.text}::text::jsonb) as answer
    `;
    return [row!.answer];
  }
  // Accounts are locked in one order everywhere: then nobody waits for somebody who waits for him.
  const order = begins.map(({ account }, index) => ({ account, index }))
    .sort((a, b) => a.account < b.account ? -1 : a.account > b.account ? 1 : 0)
    .map(({ index }) => index);
  const texts = order.map((index) => begins[index]!.text);
  const [row] = await sql<{ answers: BeginRow[] }[]>`
    select marketplace.begin_executions(${`[${texts.join()}]`}::text::jsonb) as answers
  `;
  const answers = new Array<BeginRow>(begins.length);
  for (const [at, index] of order.entries()) answers[index] = row!.answers[at]!;
  return answers;
}

/**
 * State and answer of an execution that was begun with `Prefer: respond-async` or a key.
 *
 * @throws MK401, MK404
 */
export async function readExecution(
  sql: Sql,
  executionId: string,
  caller: CallerProof,
): Promise<ExecutionState> {
  const [row] = await sql<{ state: ExecutionState }[]>`
    select marketplace.read_execution(
      ${executionId}, ${toJsonText(caller)}::text::jsonb
    ) as state
  `;
  return row!.state;
}

interface BeginRow extends Partial<Begun> {
  correlation_id: string;
  /** What would have been thrown, had it been asked alone. */
  error?: { code: string; message: string; hint: string | null };
  replay?: { execution_id: string; http_status: number; answer: Record<string, unknown> };
  refusal?: Refusal;
}
