/**
 * Run by the installed Node: reads {workflows: [{slug, text}], types: {type: version}} from stdin
 * and writes what n8n's own code finds wrong, as [{file, rule, message}].
 */
const { createRequire } = require("node:module");
const { readFileSync, realpathSync } = require("node:fs");
const { join } = require("node:path");
const process = require("node:process");

const n8n = createRequire(
  join(realpathSync(join(process.argv[2], "node_modules", "n8n")), "package.json"),
);
const { safeParseWorkflowStructure, NodeHelpers } = n8n("n8n-workflow");
const descriptions = n8n("n8n-nodes-base/dist/types/nodes.json");
const describe = (type, version) =>
  descriptions.find((each) =>
    `n8n-nodes-base.${each.name}` === type && [each.version].flat().includes(version)
  );

const { workflows, types } = JSON.parse(readFileSync(0, "utf8"));
const findings = [];
for (const [type, version] of Object.entries(types)) {
  if (describe(type, version) === undefined) {
    findings.push({
      file: "lint_workflows.ts",
      rule: "version",
      message: `NODE_TYPES names ${type} ${version}, which the installed n8n does not have`,
    });
  }
}
for (const { slug, text } of workflows) {
  const add = (rule, message) => findings.push({ file: `${slug}.json`, rule, message });
  const workflow = JSON.parse(text);
  const structure = safeParseWorkflowStructure(workflow);
  for (const { path, message } of structure.issues ?? []) {
    add("structure", `${path.join(".")}: ${message}`);
  }
  for (const node of structure.success ? workflow.nodes : []) {
    const description = describe(node.type, node.typeVersion);
    if (description === undefined) continue; // told by the house rules
    const resolve = (defaults) =>
      NodeHelpers.getNodeParameters(
        description.properties,
        node.parameters,
        defaults,
        false,
        node,
        description,
      );
    const complete = { ...node, parameters: resolve(true) };
    const issues = NodeHelpers.getNodeParametersIssues(
      description.properties,
      complete,
      description,
    );
    for (const message of Object.values(issues?.parameters ?? {}).flat()) {
      add("parameter", `"${node.name}": ${message}`);
    }
    for (const key of Object.keys(node.parameters)) {
      if (!(key in complete.parameters)) {
        add("parameter", `"${node.name}": ${key} is unknown, or hidden by the other parameters`);
      }
    }
    for (const property of description.properties) {
      const value = node.parameters[property.name];
      const choices = property.options?.map((option) => option.value);
      const isShown = NodeHelpers.displayParameter(
        complete.parameters,
        property,
        node,
        description,
      );
      if (
        property.type === "options" && isShown && value !== undefined && choices !== undefined &&
        !String(value).startsWith("=") && !choices.includes(value)
      ) {
        add("parameter", `"${node.name}": ${property.name} is none of ${choices.join(", ")}`);
      }
    }
    for (const { name, required } of description.credentials ?? []) {
      const shown = NodeHelpers.displayParameter(
        complete.parameters,
        description.credentials.find((each) => each.name === name),
        node,
        description,
      );
      if (required && shown && node.credentials?.[name] === undefined) {
        add("credential", `"${node.name}" has no credential of the type ${name}`);
      }
    }
  }
}
process.stdout.write(JSON.stringify(findings));
