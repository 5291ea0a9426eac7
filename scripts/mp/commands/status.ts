/** `mp status`: queue, integrations and alerts at a glance. */
import type { Command } from "@commander-js/extra-typings";
import { age, duration, paint, stateColour } from "../output.ts";
import { inSession } from "../session.ts";
import { type Alert, ALERT_COLUMNS } from "./alerts.ts";

interface Health {
  status: string;
  reasons: string[];
  queue: Record<
    "events_waiting" | "jobs_waiting" | "jobs_running" | "jobs_dead" | "oldest_waiting_seconds",
    number
  >;
}

interface IntegrationHealth {
  slug: string;
  provider: string;
  status: string;
  health_status: string;
  last_event_at: Date | null;
  completed_24h: number;
  failed_24h: number;
}

/** Adds the command. */
export function addStatus(program: Command): void {
  program.command("status")
    .description("queue, integrations and alerts at a glance; 1 when there are alerts")
    .addHelpText("after", "\nExamples:\n  mp status\n  mp status --json | jq .queue")
    .action((_options, command) =>
      inSession(command, async ({ out, sql, place }) => {
        const [{ health } = { health: undefined }] = await sql<{ health: Health }[]>`
          select marketplace.health() as health`;
        const integrations = await sql<IntegrationHealth[]>`
          select slug, provider, status, health_status, last_event_at, completed_24h, failed_24h
          from marketplace.v_integration_health`;
        const alerts = await sql<Alert[]>`select * from marketplace.v_alerts`;
        const { status, reasons, queue } = health!;
        if (out.json) {
          out.document({ status, reasons, queue, integrations, alerts });
          return alerts.length > 0 ? 1 : 0;
        }
        out.line(`${paint.bold(stateColour(status))}  ${paint.dim(place.name)}`);
        for (const reason of reasons) out.line(`  ${reason}`);
        const oldest = queue.oldest_waiting_seconds;
        out.line(
          `\nevents ${queue.events_waiting} waiting   jobs ${queue.jobs_waiting} waiting, ` +
            `${queue.jobs_running} running, ${queue.jobs_dead} dead in 24 h` +
            (oldest > 0 ? `   oldest ${duration(oldest)}` : ""),
        );
        out.line("");
        out.table(integrations, [
          { title: "integration", value: (row) => row.slug, isFlexible: true },
          { title: "provider", value: (row) => row.provider, isFlexible: true },
          { title: "status", value: (row) => row.status, colour: stateColour },
          { title: "health", value: (row) => row.health_status, colour: stateColour },
          { title: "last event", value: (row) => age(row.last_event_at), align: "right" },
          { title: "copied", value: (row) => row.completed_24h, align: "right" },
          { title: "failed", value: (row) => row.failed_24h, align: "right" },
        ], "No integration is registered: mp integrations register --help.");
        if (alerts.length > 0) {
          out.line("");
          out.table(alerts, ALERT_COLUMNS, "");
        }
        return alerts.length > 0 ? 1 : 0;
      })
    );
}
