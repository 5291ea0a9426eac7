/** `mp alerts`: what wants a human's eye just now. */
import type { Command } from "@commander-js/extra-typings";
import { age, type Column, stateColour } from "../output.ts";
import { inSession } from "../session.ts";

/** A row of `marketplace.v_alerts`. */
export interface Alert {
  severity: string;
  alert: string;
  subject: string;
  message: string;
  since: Date | null;
}

/** How alerts are laid out, here and in `status`. */
export const ALERT_COLUMNS: Column<Alert>[] = [
  { title: "severity", value: (row) => row.severity, colour: stateColour },
  { title: "alert", value: (row) => row.alert },
  { title: "subject", value: (row) => row.subject, isFlexible: true },
  { title: "since", value: (row) => age(row.since), align: "right" },
  { title: "message", value: (row) => row.message, isFlexible: true },
];

/** Adds the command. */
export function addAlerts(program: Command): void {
  program.command("alerts")
    .description("what wants a human's eye, worst first; 1 when there is something")
    .addHelpText("after", "\nExamples:\n  mp alerts\n  mp doctor    says what to do about each")
    .action((_options, command) =>
      inSession(command, async ({ out, sql }) => {
        const alerts = await sql<Alert[]>`select * from marketplace.v_alerts`;
        out.table(alerts, ALERT_COLUMNS, "No alerts.");
        return alerts.length > 0 ? 1 : 0;
      })
    );
}
