/** When a job is tried again, and when not. Times are read from the database, never waited for. */
import assert from "node:assert/strict";
import {
  ingest,
  type Lane,
  makeLane,
  removeLanes,
  ring,
  type SinkRequest,
  until,
  useDatabase,
  useSink,
} from "./support_queue.ts";

const sql = useDatabase();
const sink = useSink();
Deno.test.afterAll(() => removeLanes(sql));

/** A lane whose events say which case they are; its circuit does not open. */
async function laneOfCases(
  workflow: Record<string, string | number | boolean>,
  answer: (index: number, request: SinkRequest) => Response,
): Promise<Lane> {
  const lane = await makeLane(sql, sink, {
    workflow: { sends_payload: true, breaker_threshold: 1_000, ...workflow },
  });
  sink.on(lane.path, (request) => {
    return answer(JSON.parse(request.body).data.event.payload.index, request);
  });
  return lane;
}

interface Outcome {
  index: number;
  status: string;
  attempts: number;
  error_code: string | null;
  /** From the end of the last attempt until the next one may begin. */
  waits_seconds: number;
}

/** What became of the cases, in their order, after so many attempts of each. */
async function outcomes(lane: Lane, count: number, attempts = 1): Promise<Outcome[]> {
  return await until(async () => {
    const rows = await sql<Outcome[]>`
      select (e.payload ->> 'index')::int as index, j.status, j.attempt_count as attempts, j.error_code,
        extract(epoch from j.run_at - a.ended_at)::float8 as waits_seconds
      from marketplace.sync_jobs as j
      join marketplace.webhook_events as e on e.id = j.event_id
      join marketplace.sync_job_attempts as a on a.job_id = j.id and a.attempt = j.attempt_count
      where j.rule_id = ${lane.ruleId} and a.ended_at is not null
      order by 1
    `;
    return rows.length === count && rows.every((row) => row.attempts >= attempts) && rows;
  }, `${count} jobs to have ended ${attempts} attempts`);
}

const cases = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ payload: { index } }));

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000);

/** Ways to ask for a pause of about so many seconds. */
const SPELLINGS: [string, number, () => Response][] = [
  ["Retry-After, seconds", 600, () => answer(429, { "retry-after": "600" })],
  ["Retry-After, date", 700, () => answer(503, { "retry-after": inSeconds(700).toUTCString() })],
  ["Retry-After-Ms", 800, () => answer(429, { "retry-after-ms": "800000" })],
  ["X-RateLimit-Reset, Unix seconds", 900, () => {
    return answer(429, { "x-ratelimit-reset": String(Math.ceil(inSeconds(900).getTime() / 1000)) });
  }],
  ["X-RateLimit-Reset, Unix milliseconds", 1_000, () => {
    return answer(429, { "x-ratelimit-reset": String(inSeconds(1_000).getTime()) });
  }],
  ["X-RateLimit-Reset of a limit used up", 1_100, () => {
    return answer(500, { "x-ratelimit-reset": "1100", "x-ratelimit-remaining": "0" });
  }],
  ["retry_after in a JSON body", 1_200, () => answer(429, {}, { error: { retry_after: 1200 } })],
  ["several: the longest wins", 1_300, () => {
    return answer(429, { "retry-after": "5", "retry-after-ms": "1300000" }, { retry_after: 60 });
  }],
  ["longer than the backoff's cap", 7_200, () => answer(503, { "retry-after": "7200" })],
];

function answer(status: number, headers: Record<string, string>, body: unknown = {}): Response {
  return Response.json(body, { status, headers });
}

Deno.test("a destination that says when to come back is believed, however it spells it", async () => {
  const lane = await laneOfCases(
    { retry_base: "0", retry_cap: "1 hour", max_attempts: 2 },
    (index) => SPELLINGS[index]![2](),
  );
  await ingest(sql, lane.integrationId, cases(SPELLINGS.length));
  for (const { index, status, waits_seconds } of await outcomes(lane, SPELLINGS.length)) {
    const [spelling, expected] = SPELLINGS[index]!;
    assert.equal(status, "pending");
    // A few seconds for the way from the sink into the database; dates have no fractions either.
    assert.ok(Math.abs(waits_seconds - expected) < 20, `${spelling}: ${waits_seconds} s`);
  }

  // No earlier, but then; and dead after the last attempt.
  await (await ring("?wait=true")).body?.cancel();
  assert.equal(sink.at(lane.path).length, SPELLINGS.length);
  await sql`update marketplace.sync_jobs set run_at = now() where rule_id = ${lane.ruleId}`;
  await (await ring()).body?.cancel();
  for (const { status, attempts } of await outcomes(lane, SPELLINGS.length, 2)) {
    assert.deepEqual({ status, attempts }, { status: "dead", attempts: 2 });
  }
});

Deno.test("without a word the pause doubles up to its cap, at random, so that retries spread", async () => {
  const count = 40;
  const lane = await laneOfCases(
    { retry_base: "1 hour", retry_cap: "3 hours", max_attempts: 10 },
    () => new Response(null, { status: 500 }),
  );
  await ingest(sql, lane.integrationId, cases(count));
  for (const [attempt, most] of [[1, 3_600], [2, 7_200], [3, 10_800], [4, 10_800]] as const) {
    const waits = (await outcomes(lane, count, attempt)).map(({ waits_seconds }) => waits_seconds);
    assert.ok(Math.min(...waits) > -1 && Math.max(...waits) < most + 5, `attempt ${attempt}`);
    // All of forty in one half: once in a million million runs.
    assert.ok(Math.min(...waits) < most / 2 && Math.max(...waits) > most / 2);
    await sql`update marketplace.sync_jobs set run_at = now() where rule_id = ${lane.ruleId}`;
    await (await ring()).body?.cancel();
  }
});

Deno.test("what may go well another time is tried again, what is refused for good is not", async () => {
  const again = [302, 404, 408, 409, 425, 429, 500, 502, 503, 504];
  const final = [400, 401, 403, 405, 413, 422];
  const statuses = [...again, ...final];
  const lane = await laneOfCases(
    { retry_base: "1 hour" },
    (index) => new Response(null, { status: statuses[index]! }),
  );
  await ingest(sql, lane.integrationId, cases(statuses.length));
  const found = await outcomes(lane, statuses.length);
  const withStatus = (status: string) =>
    found.filter((outcome) => outcome.status === status).map(({ index }) => statuses[index]);
  assert.deepEqual(withStatus("pending"), again);
  assert.deepEqual(withStatus("dead"), final);
  for (const { index, error_code } of found) {
    const expected = statuses[index] === 302 ? "redirect" : `http_${statuses[index]}`;
    assert.equal(error_code, expected, "with the reason");
  }
});
