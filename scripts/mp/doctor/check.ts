/**
 * What a check is: a name, what holds when all is well, and how to find out.
 * @module
 */
import type { Place } from "../place.ts";
import type { Sql } from "../session.ts";

/** One thing that is not as it should be. */
export interface Finding {
  /** What it is about: an integration, a workflow, a schedule. */
  subject: string;
  message: string;
  /** What to do about it: a command, or one sentence. */
  remedy: string;
  /** Worth knowing, but nothing is broken. */
  isNote?: boolean;
}

/** What checks look at. */
export interface Patient {
  sql: Sql;
  place: Place;
  /** Base URL of the Edge Functions; null when nobody has said it. */
  functionsUrl: string | null;
}

/** One question and how to answer it. */
export interface Check {
  /** Stable, for `--only` and for scripts. */
  name: string;
  /** What holds when nothing is found. */
  title: string;
  /**
   * @returns what is wrong; nothing when all is well
   * @throws {Skipped} when it cannot be told from here
   */
  run(patient: Patient): Promise<Finding[]>;
}

/** Thrown by a check that does not apply, or cannot look; the message says why. */
export class Skipped extends Error {
  override name = "Skipped";
}

/** Whether a table or view is there: not every database has every migration. */
export async function exists(sql: Sql, relation: string): Promise<boolean> {
  const [row] = await sql<{ is_there: boolean }[]>`
    select to_regclass(${relation}) is not null as is_there`;
  return row!.is_there;
}
