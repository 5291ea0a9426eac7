/**
 * How commands speak: tables and records for people, JSON for programs, never both.
 * @module
 */
import { paint } from "../demo/timeline.ts";

export { paint };

/** One column of a table. */
export interface Column<Row> {
  title: string;
  /** The cell's text; null and undefined read as "-". */
  value: (row: Row) => unknown;
  align?: "right";
  /** `id`: shortened when the table is too wide, still enough to be found by. */
  kind?: "id";
  /** May be cut when the table is too wide; without any such column the last one is. */
  isFlexible?: boolean;
  colour?: (text: string, row: Row) => string;
}

/** Where the output goes, and how. */
export class Output {
  constructor(
    readonly json: boolean,
    /** Characters in a line; Infinity when the reader is a program. */
    readonly width: number = terminalWidth(),
    readonly write: (text: string) => void = writeStdout,
  ) {}

  /** A list: a table with a heading, or an array. */
  table<Row extends object>(rows: readonly Row[], columns: Column<Row>[], ifEmpty: string): void {
    if (this.json) return this.document(rows);
    this.line(rows.length === 0 ? paint.dim(ifEmpty) : formatTable(rows, columns, this.width));
  }

  /** One thing: `name  value` lines, or an object. */
  record(fields: Record<string, unknown>): void {
    if (this.json) return this.document(fields);
    const names = Object.keys(fields).filter((name) => fields[name] !== undefined);
    const width = Math.max(...names.map((name) => name.length));
    for (const name of names) {
      const lines = cell(fields[name], { keepLines: true }).split("\n");
      this.line(`${paint.dim(name.padEnd(width))}  ${lines.join(`\n${" ".repeat(width + 2)}`)}`);
    }
  }

  /** What a command did: a sentence, or an object. */
  done(sentence: string, facts: object): void {
    if (this.json) return this.document(facts);
    this.line(sentence);
  }

  /** A line for people; programs do not get it. */
  say(text = ""): void {
    if (!this.json) this.line(text);
  }

  /** A whole JSON document. */
  document(value: unknown): void {
    this.line(JSON.stringify(value, null, 2));
  }

  /** One line as it is. */
  line(text: string): void {
    this.write(`${text}\n`);
  }
}

/**
 * A table that fits into a width: ids are shortened first, then flexible columns are cut.
 * @returns lines without trailing blanks
 */
export function formatTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  width: number,
): string {
  const texts = rows.map((row) => columns.map((column) => cell(column.value(row))));
  const natural = columns.map(({ title }, at) =>
    Math.max(title.length, ...texts.map((line) => [...line[at]!].length))
  );
  const widths = fit(natural, columns, width);
  const layOut = (line: string[], style?: (text: string, at: number) => string) =>
    line.map((text, at) => {
      const room = widths[at]!;
      const short = cut(text, room, columns[at]!.kind === "id");
      const padding = " ".repeat(room - [...short].length);
      const styled = style?.(short, at) ?? short;
      return columns[at]!.align === "right" ? padding + styled : styled + padding;
    }).join("  ").trimEnd();
  return [
    layOut(columns.map(({ title }) => title), paint.dim),
    ...texts.map((line, index) =>
      layOut(line, (text, at) => columns[at]!.colour?.(text, rows[index]!) ?? text)
    ),
  ].join("\n");
}

/** Characters of a UUIDv7 that are left of it: its millisecond and 12 random bits. */
const SHORT_ID = 18;

function fit<Row>(
  natural: readonly number[],
  columns: readonly Column<Row>[],
  width: number,
): number[] {
  const widths = [...natural];
  const excess = () => widths.reduce((sum, each) => sum + each + 2, -2) - width;
  for (const [at, { kind, title }] of columns.entries()) {
    if (excess() <= 0) return widths;
    if (kind === "id") widths[at] = Math.min(widths[at]!, Math.max(SHORT_ID, title.length));
  }
  const flexible = columns.flatMap(({ isFlexible }, at) => isFlexible ? [at] : []);
  if (flexible.length === 0) flexible.push(columns.length - 1);
  // The widest gives first, so that none disappears for another's sake.
  while (excess() > 0) {
    const widest = flexible.reduce((a, b) => widths[b]! > widths[a]! ? b : a);
    if (widths[widest]! <= 6) break;
    widths[widest]!--;
  }
  return widths;
}

function cut(text: string, room: number, isId: boolean): string {
  const characters = [...text];
  if (characters.length <= room) return text;
  return isId
    ? characters.slice(0, room).join("").replace(/-$/, "")
    : `${characters.slice(0, room - 1).join("")}…`;
}

/**
 * A value as text that cannot steer a terminal: much of it was sent by strangers.
 * @param options.keepLines leaves line breaks in
 */
export function cell(value: unknown, options: { keepLines?: boolean } = {}): string {
  if (value === null || value === undefined || value === "") return "-";
  const text = value instanceof Date
    ? time(value)
    : Array.isArray(value)
    ? value.map((each) => typeof each === "object" ? JSON.stringify(each) : each).join(", ") || "-"
    : typeof value === "object"
    ? JSON.stringify(value, null, options.keepLines ? 2 : undefined)
    : String(value);
  return text.replace(
    /\p{Cc}|\p{Bidi_Control}/gu,
    (character) => character === "\n" ? options.keepLines ? "\n" : " " : "·",
  );
}

/** A time in UTC, to the second. */
export function time(at: Date): string {
  return Number.isNaN(at.getTime()) ? "-" : `${at.toISOString().slice(0, 19).replace("T", " ")}Z`;
}

/** `1 job`, `2 jobs`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** How long ago, or how long from now, in one unit. */
export function age(at: Date | null | undefined, now = Date.now()): string {
  if (!at) return "-";
  return duration(Math.abs(now - at.getTime()) / 1000);
}

/** A duration in its largest unit. @param seconds not negative */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return "-";
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

/** Colours of states, the same everywhere. */
export function stateColour(text: string): string {
  const state = text.trim();
  if (/^(ok|active|healthy|completed|closed|delivered|succeeded)$/.test(state)) {
    return paint.green(text);
  }
  if (/^(dead|failed|error|unhealthy|critical|open|disabled|problem|revoked)$/.test(state)) {
    return paint.red(text);
  }
  if (/^(degraded|warning|paused|half_open|inactive|skipped|note|expired)$/.test(state)) {
    return paint.yellow(text);
  }
  return text;
}

/** The terminal's columns; COLUMNS overrides, and a pipe has no end. */
function terminalWidth(): number {
  const set = Number(Deno.env.get("COLUMNS"));
  if (set > 20) return set;
  try {
    return Deno.stdout.isTerminal() ? Deno.consoleSize().columns : Infinity;
  } catch {
    return 80; // a terminal that does not tell its size
  }
}

function writeStdout(text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let written = 0; written < bytes.length;) {
      written += Deno.stdout.writeSync(bytes.subarray(written));
    }
  } catch (error) {
    // `mp events ls | head`: the reader has what it wanted.
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(0);
    throw error;
  }
}
