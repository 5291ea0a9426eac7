/**
 * pg_cron's schedules: five fields in UTC, nicknames, or `n seconds`.
 * @see https://github.com/citusdata/pg_cron#what-is-pg_cron
 * @module
 */

/** When a job is due. */
export type Schedule =
  | { kind: "interval"; ms: number }
  | { kind: "cron"; matches: (minute: Date) => boolean };

const FIELDS = [
  { name: "minute", low: 0, high: 59 },
  { name: "hour", low: 0, high: 23 },
  { name: "day of month", low: 1, high: 31 },
  { name: "month", low: 1, high: 12, words: "jan feb mar apr may jun jul aug sep oct nov dec" },
  { name: "day of week", low: 0, high: 7, words: "sun mon tue wed thu fri sat" },
] as const;

const NICKNAMES: Record<string, string> = {
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
};

function parseField(text: string, field: (typeof FIELDS)[number]): Set<number> {
  const words = "words" in field ? field.words.split(" ") : [];
  const numeric = words.reduce(
    (field_, word, i) => field_.replaceAll(word, String(field.low + i)),
    text,
  );
  const values = new Set<number>();
  for (const part of numeric.split(",")) {
    const match = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/([1-9]\d*))?$/.exec(part);
    const low = match?.[1] === undefined ? field.low : Number(match[1]);
    const high = match?.[1] === undefined
      ? field.high
      : match[2] !== undefined
      ? Number(match[2])
      : match[3] !== undefined
      ? field.high
      : low;
    if (!match || low < field.low || high > field.high || high < low) {
      throw new Error(`"${text}" is no ${field.name} (${field.low} to ${field.high}).`);
    }
    for (let value = low; value <= high; value += Number(match[3] ?? 1)) values.add(value);
  }
  return values;
}

/**
 * Parses a schedule.
 * @throws {Error} naming the field that is wrong
 */
export function parseSchedule(text: string): Schedule {
  const interval = /^\s*([1-9]|[1-5]\d)\s+seconds?\s*$/i.exec(text);
  if (interval) return { kind: "interval", ms: Number(interval[1]) * 1000 };

  const trimmed = text.trim().toLowerCase();
  const fields = (NICKNAMES[trimmed] ?? trimmed).split(/\s+/);
  if (fields.length !== 5) {
    throw new Error(`"${text}" is no schedule: give five cron fields or "[1-59] seconds".`);
  }
  const lastDay = fields[2] === "$"; // pg_cron's own: the last day of the month
  const [minutes, hours, days, months, weekdays] = fields.map((field, i) =>
    i === 2 && lastDay ? new Set<number>() : parseField(field, FIELDS[i]!)
  ) as [Set<number>, Set<number>, Set<number>, Set<number>, Set<number>];
  if (weekdays.has(7)) weekdays.add(0);
  const anyDay = fields[2]!.startsWith("*");
  const anyWeekday = fields[4]!.startsWith("*");

  return {
    kind: "cron",
    matches: (minute) => {
      const next = new Date(minute.getTime() + 86_400_000);
      const day = lastDay ? next.getUTCDate() === 1 : days.has(minute.getUTCDate());
      const weekday = weekdays.has(minute.getUTCDay());
      return minutes.has(minute.getUTCMinutes()) && hours.has(minute.getUTCHours()) &&
        months.has(minute.getUTCMonth() + 1) &&
        // cron's old rule: two restricted day fields are alternatives
        (anyDay || anyWeekday ? day && weekday : day || weekday);
    },
  };
}
