/**
 * Tables as text.
 * @module
 */
import { paint } from "../../demo/timeline.ts";
import type { Row, Summary } from "./compare.ts";
import type { Table } from "./figure.ts";

/** A table for people: medians, the first value's spread, ratios, counts and goals. */
export function renderTable(table: Table): string {
  const names = [...new Set(table.rows.flatMap(({ values }) => Object.keys(values)))];
  const hasRatio = table.rows.some(({ ratio }) => ratio);
  const header = [
    table.rowsAre,
    ...names.flatMap((name, i) => i ? [label(name)] : [label(name), "spread"]),
  ]
    .concat(hasRatio ? ["ratio"] : []);
  const lines = table.rows.map((row) => cells(row, names, hasRatio));
  const widths = header.map((head, i) =>
    Math.max(head.length, ...lines.map((line) => line[i]!.length))
  );
  const line = (parts: string[]) =>
    parts.map((part, i) => i ? part.padStart(widths[i]!) : part.padEnd(widths[i]!)).join("  ");
  const mark = (isGood: boolean) => isGood ? paint.green("ok    ") : paint.red("MISSED");
  return [
    paint.bold(table.title),
    "",
    `  ${paint.dim(line(header))}`,
    ...lines.map((parts) => `  ${line(parts)}`),
    "",
    ...table.checks.map(({ what, expected, found }) =>
      `  ${mark(expected === found)}  ${what}: ${found}` +
      (expected === found ? "" : `, expected ${expected}`)
    ),
    ...table.targets.map(({ what, reached, isMet }) =>
      `  ${mark(isMet)}  ${what}: ${number(reached)}`
    ),
    ...(table.notes ?? []).map((note) => paint.dim(`  ${note}`)),
    "",
  ].join("\n");
}

function cells({ name, values, ratio }: Row, names: string[], hasRatio: boolean): string[] {
  return [
    name,
    ...names.flatMap((key, i) => {
      const value = values[key];
      if (!value) return i ? ["-"] : ["-", "-"];
      return i ? [number(value.median)] : [number(value.median), spread(value)];
    }),
    ...(hasRatio ? [ratio ? `${ratio.median.toFixed(2)} ×` : "-"] : []),
  ];
}

/** How far the rounds lie from the median, in percent. */
function spread({ median, min, max }: Summary): string {
  if (min === max) return "";
  const percent = (value: number) => Math.round((value / median - 1) * 100);
  return `${percent(min)}…+${percent(max)} %`;
}

/** `p50 ms` of `p50_ms`, `/s` of `per_second`. */
function label(name: string): string {
  return name === "per_second" ? "/s" : name.replaceAll("_", " ");
}

/** Three digits that count, thousands apart. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}
