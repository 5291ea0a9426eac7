import assert from "node:assert/strict";
import { type Metric, renderMetrics } from "./metrics.ts";

const sample = (metric: Partial<Metric>): Metric => ({
  name: "jobs",
  kind: "gauge",
  help: "Jobs.",
  labels: {},
  value: "1",
  ...metric,
});

Deno.test("samples of a family stand together, under its type and help", () => {
  assert.equal(
    renderMetrics([
      sample({ labels: { workflow: "mirror", state: "running" } }),
      sample({ name: "events", help: "Events.", value: "0" }),
      sample({ labels: { workflow: "mirror", state: "waiting" }, value: "12.5" }),
    ]),
    [
      "# TYPE jobs gauge",
      "# HELP jobs Jobs.",
      'jobs{workflow="mirror",state="running"} 1',
      'jobs{workflow="mirror",state="waiting"} 12.5',
      "# TYPE events gauge",
      "# HELP events Events.",
      "events 0",
      "# EOF",
      "",
    ].join("\n"),
  );
});

Deno.test("quotes, backslashes and line ends are escaped", () => {
  const text = renderMetrics([sample({ help: "a\nb", labels: { name: '\\ " \n' } })]);
  assert.ok(text.includes("# HELP jobs a\\nb\n"));
  assert.ok(text.includes('jobs{name="\\\\ \\" \\n"} 1\n'));
});

Deno.test("nothing to say is still an exposition", () => {
  assert.equal(renderMetrics([]), "# EOF\n");
});
