/** `mp doctor`: what is wrong, and what to do about it. */
import type { Command } from "@commander-js/extra-typings";
import { several } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import { cell, type Output, paint } from "../output.ts";
import { inSession } from "../session.ts";
import { functionsUrl } from "../webhook_url.ts";
import type { CheckResult } from "../doctor/mod.ts";

/** Adds the command. */
export function addDoctor(program: Command): void {
  program.command("doctor")
    .description("what is wrong and what to do about it; 1 when something is")
    .option("--only <checks>", "only these checks (repeatable)", several)
    .option("--quiet", "only what was found")
    .addHelpText(
      "after",
      "\nExamples:\n  mp doctor\n  mp doctor --only cron,rings\n" +
        "  mp doctor --json | jq '.checks[] | select(.state == \"problem\")'",
    )
    .action(({ only, quiet }, command) =>
      inSession(command, async ({ out, sql, place }) => {
        const { CHECKS, examine } = await import("../doctor/mod.ts");
        const unknown = only?.find((name) => !CHECKS.some((check) => check.name === name));
        if (unknown) {
          throw new UsageError(
            `There is no check ${unknown}; there are ${CHECKS.map(({ name }) => name).join(", ")}.`,
          );
        }
        const checks = CHECKS.filter(({ name }) => !only || only.includes(name));
        const patient = { sql, place, functionsUrl: await functionsUrl(sql, place) };
        const results = await examine(patient, checks);
        const isWell = results.every(({ state }) => state !== "problem");
        if (out.json) out.document({ ok: isWell, place: place.name, checks: results });
        else report(out, results, quiet ?? false);
        return isWell ? 0 : 1;
      })
    );
}

const MARKS = {
  ok: paint.green("ok   "),
  note: paint.yellow("note "),
  problem: paint.red("wrong"),
  skipped: paint.dim("-    "),
};

function report(out: Output, results: readonly CheckResult[], isQuiet: boolean): void {
  for (const { state, title, reason, findings } of results) {
    if (isQuiet && findings.length === 0) continue;
    out.line(`${MARKS[state]}  ${title}${reason ? paint.dim(`  (${reason})`) : ""}`);
    for (const { subject, message, remedy, isNote } of findings) {
      const label = state === "problem" && isNote ? `${paint.yellow("note")}  ` : "";
      out.line(`       ${label}${paint.bold(cell(subject))}: ${cell(message)}`);
      out.line(`         ${paint.cyan("→")} ${cell(remedy)}`);
    }
  }
  const problems = results.flatMap(({ findings }) => findings).filter(({ isNote }) => !isNote);
  const looked = results.filter(({ state }) => state !== "skipped").length;
  out.line(
    problems.length === 0 ? paint.green(`\nNothing is wrong in ${looked} checks.`) : paint.red(
      problems.length === 1 ? "\nOne thing is wrong." : `\n${problems.length} things are wrong.`,
    ),
  );
}
