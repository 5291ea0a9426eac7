/**
 * Figures as OpenMetrics text, for Prometheus and whatever else scrapes.
 * @see https://prometheus.io/docs/specs/om/open_metrics_spec/
 */

/** One sample, a row of `marketplace.metrics()`. */
export interface Metric {
  /** Name of the family it belongs to. */
  name: string;
  kind: string;
  help: string;
  labels: Record<string, string>;
  /** A number as Postgres writes it. */
  value: string;
}

/** The media type of {@link renderMetrics}'s text. */
export const OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/** Samples as an exposition: each family once, in the order of its first sample. */
export function renderMetrics(metrics: readonly Metric[]): string {
  const lines: string[] = [];
  for (const [name, family] of Map.groupBy(metrics, (metric) => metric.name)) {
    const { kind, help } = family[0]!;
    lines.push(`# TYPE ${name} ${kind}`, `# HELP ${name} ${escape(help)}`);
    for (const { labels, value } of family) {
      const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escape(text)}"`);
      lines.push(`${name}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${value}`);
    }
  }
  return `${lines.join("\n")}${lines.length > 0 ? "\n" : ""}# EOF\n`;
}

function escape(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
