import assert from "node:assert/strict";
import { parseSchedule } from "./cron_schedule.ts";

function isDue(text: string, at: string): boolean {
  const schedule = parseSchedule(text);
  assert.equal(schedule.kind, "cron");
  return schedule.kind === "cron" && schedule.matches(new Date(`${at}:00Z`));
}

Deno.test("seconds are an interval from 1 to 59", () => {
  assert.deepEqual(parseSchedule("5 seconds"), { kind: "interval", ms: 5000 });
  assert.deepEqual(parseSchedule(" 1 second "), { kind: "interval", ms: 1000 });
  for (const wrong of ["0 seconds", "60 seconds", "5 minutes", ""]) {
    assert.throws(() => parseSchedule(wrong), /is no/);
  }
});

Deno.test("a star matches every minute", () => {
  assert.ok(isDue("* * * * *", "2026-03-01T00:00"));
  assert.ok(isDue("* * * * *", "2026-03-01T23:59"));
});

Deno.test("lists, ranges and steps combine", () => {
  const schedule = "0,15-20,*/25 9-17/4 * * *";
  const minutes = Array.from({ length: 60 }, (_, m) => m).filter((m) =>
    isDue(schedule, `2026-03-01T09:${String(m).padStart(2, "0")}`)
  );
  assert.deepEqual(minutes, [0, 15, 16, 17, 18, 19, 20, 25, 50]);
  const hours = Array.from({ length: 24 }, (_, h) => h).filter((h) =>
    isDue(schedule, `2026-03-01T${String(h).padStart(2, "0")}:00`)
  );
  assert.deepEqual(hours, [9, 13, 17]);
});

Deno.test("a step without a range runs to the end of the field", () => {
  assert.ok(isDue("40/10 * * * *", "2026-03-01T00:50"));
  assert.ok(!isDue("40/10 * * * *", "2026-03-01T00:30"));
});

Deno.test("months and weekdays have names, and Sunday is 0 and 7", () => {
  assert.ok(isDue("0 0 * MAR sun", "2026-03-01T00:00"));
  assert.ok(isDue("0 0 * 3 7", "2026-03-01T00:00"));
  assert.ok(!isDue("0 0 * mar mon-sat", "2026-03-01T00:00"));
});

Deno.test("two restricted day fields are alternatives, one restricts alone", () => {
  assert.ok(isDue("0 0 13 * fri", "2026-03-13T00:00")); // both
  assert.ok(isDue("0 0 13 * fri", "2026-03-06T00:00")); // a Friday
  assert.ok(isDue("0 0 13 * fri", "2026-04-13T00:00")); // a Monday, but the 13th
  assert.ok(!isDue("0 0 13 * *", "2026-03-06T00:00"));
});

Deno.test("$ is the last day of the month", () => {
  assert.ok(isDue("0 0 $ * *", "2028-02-29T00:00"));
  assert.ok(!isDue("0 0 $ * *", "2028-02-28T00:00"));
});

Deno.test("nicknames stand for five fields", () => {
  assert.ok(isDue("@hourly", "2026-03-01T07:00"));
  assert.ok(!isDue("@daily", "2026-03-01T07:00"));
});

Deno.test("a wrong field is named with its range", () => {
  assert.throws(() => parseSchedule("60 * * * *"), /"60" is no minute \(0 to 59\)/);
  assert.throws(() => parseSchedule("* * 0 * *"), /day of month/);
  assert.throws(() => parseSchedule("* * * foo *"), /month/);
  assert.throws(() => parseSchedule("* 5-2 * * *"), /hour/);
  assert.throws(() => parseSchedule("*/0 * * * *"), /minute/);
  assert.throws(() => parseSchedule("* * * *"), /five cron fields/);
});
