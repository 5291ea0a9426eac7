/**
 * What a figure is: one file in `scripts/bench/` that exports `figure`.
 * @module
 */
import type { Place } from "./stack.ts";
import type { Row } from "./compare.ts";

/** A named measurement; `deno task bench <name>` runs it. */
export interface Figure {
  /** Where it stands among the others. */
  number: number;
  /** One line for the list of figures. */
  title: string;
  /** The stack it runs on, brought up fresh and ended after it; `false`: it needs none. */
  stack: false | { n8n?: boolean; sandbox?: boolean };
  /** Measures, and counts what came of it. */
  run(bench: Bench): Promise<Table[]>;
}

/** What a figure is given. */
export interface Bench {
  /** Fewer and shorter rounds: to see that it runs, not to quote. */
  quick: boolean;
  /** Options of the command line that belong to single figures. */
  options: { minutes?: number };
  /** Prints one line while it runs. */
  note(line: string): void;
  /** Aborted when the bench is to end early. */
  signal: AbortSignal;
  /** The running stack. @throws Error for a figure that asked for none */
  place: Place;
}

/** One printed table. */
export interface Table {
  title: string;
  /** Heading of the rows' names. */
  rowsAre: string;
  rows: Row[];
  /** Whether what was measured also happened: a fast figure of lost rows is none. */
  checks: Check[];
  targets: Target[];
  /** What a reader has to know to read it right. */
  notes?: string[];
}

/** A count that has to come out. */
export interface Check {
  what: string;
  expected: number;
  found: number;
}

/** A goal and what was reached. */
export interface Target {
  what: string;
  reached: number;
  isMet: boolean;
}

/** A goal from below or from above. */
export function target(
  what: string,
  reached: number,
  goal: { atLeast?: number; atMost?: number },
): Target {
  const { atLeast = -Infinity, atMost = Infinity } = goal;
  return { what, reached, isMet: reached >= atLeast && reached <= atMost };
}
