/** `mp quota`: how much of the providers' rate limits is spent. */
import type { Command } from "@commander-js/extra-typings";
import { age, paint } from "../output.ts";
import { inSession } from "../session.ts";

interface QuotaStatus {
  integration: string;
  provider: string;
  quota: string;
  limit_count: number;
  used_count: number;
  remaining_count: number;
  usage_percent: number;
  resets_at: Date;
  updated_at: Date;
}

/** Adds the command. */
export function addQuota(program: Command): void {
  program.command("quota")
    .description("how much of each provider's rate limit is spent; 1 when one is used up")
    .option("--integration <slug>", "only this one")
    .addHelpText("after", "\nExamples:\n  mp quota\n  mp quota --integration github-actions")
    .action(({ integration }, command) =>
      inSession(command, async ({ out, sql }) => {
        const rows = await sql<QuotaStatus[]>`
          select integration, provider, quota, limit_count, used_count, remaining_count,
            usage_percent, resets_at, updated_at
          from marketplace.v_quota_status
          where ${integration ?? null}::text is null or integration = ${integration ?? null}`;
        out.table(rows, [
          { title: "integration", value: (row) => row.integration, isFlexible: true },
          { title: "quota", value: (row) => row.quota, isFlexible: true },
          { title: "used", value: (row) => row.used_count, align: "right" },
          { title: "of", value: (row) => row.limit_count, align: "right" },
          {
            title: "%",
            value: (row) => row.usage_percent,
            align: "right",
            colour: (text, { usage_percent: used }) =>
              used >= 100 ? paint.red(text) : used >= 75 ? paint.yellow(text) : text,
          },
          {
            title: "resets in",
            value: (row) => row.resets_at > new Date() ? age(row.resets_at) : "-",
            align: "right",
          },
        ], "No provider has told its limit yet.");
        return rows.some((row) => row.remaining_count <= 0) ? 1 : 0;
      })
    );
}
