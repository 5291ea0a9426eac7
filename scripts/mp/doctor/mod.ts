/**
 * All checks, and running them. A new check is a constant in one of the files and a line in its list.
 * @module
 */
import { describeFault } from "../errors.ts";
import { type Check, type Finding, type Patient, Skipped } from "./check.ts";
import { DATABASE_CHECKS } from "./database_checks.ts";
import { INTEGRATION_CHECKS } from "./integration_checks.ts";
import { N8N_CHECKS } from "./n8n_checks.ts";
import { QUEUE_CHECKS } from "./queue_checks.ts";

export type { Check, Finding, Patient } from "./check.ts";

/** Every check, in the order of the report. */
export const CHECKS: readonly Check[] = [
  ...DATABASE_CHECKS,
  ...QUEUE_CHECKS,
  ...INTEGRATION_CHECKS,
  ...N8N_CHECKS,
];

/** What one check found. */
export interface CheckResult {
  name: string;
  title: string;
  state: "ok" | "note" | "problem" | "skipped";
  /** Why it was skipped. */
  reason?: string;
  findings: Finding[];
}

/** Runs checks; one that breaks is a problem itself and keeps none of the others from running. */
export async function examine(
  patient: Patient,
  checks: readonly Check[] = CHECKS,
): Promise<CheckResult[]> {
  return await Promise.all(checks.map(async ({ name, title, run }): Promise<CheckResult> => {
    try {
      const findings = await run(patient);
      const state = findings.length === 0
        ? "ok"
        : findings.every(({ isNote }) => isNote)
        ? "note"
        : "problem";
      return { name, title, state, findings };
    } catch (error) {
      if (error instanceof Skipped) {
        return { name, title, state: "skipped", reason: error.message, findings: [] };
      }
      const { message, hint } = describeFault(error);
      const remedy = hint ?? "Run it again with --only " + name;
      const finding = { subject: name, message: `could not be looked at: ${message}`, remedy };
      return { name, title, state: "problem", findings: [finding] };
    }
  }));
}
