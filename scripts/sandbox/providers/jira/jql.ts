/** A query that cannot be read; the message is Jira's. */
export class JqlError extends Error {}

/** What queries can be about. */
export interface JqlIssue {
  project: string;
  key: string;
  summary: string;
  status: string;
  issuetype: string;
  labels: readonly string[];
}

type Test = (issue: JqlIssue) => boolean;

const FIELDS: Record<string, (issue: JqlIssue) => readonly string[]> = {
  project: ({ project }) => [project],
  key: ({ key }) => [key],
  issuekey: ({ key }) => [key],
  summary: ({ summary }) => [summary],
  status: ({ status }) => [status],
  issuetype: ({ issuetype }) => [issuetype],
  labels: ({ labels }) => labels,
};
const CLAUSE =
  /^(\w+)\s*(!=|=|!~|~|\bnot\s+in\b|\bin\b)\s*(\([^)]*\)|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^\s()"']+)/i;

/**
 * The part of JQL that programs use: clauses with `=`, `!=`, `~`, `in`, `not in`, joined by `AND`.
 * A query that restricts nothing is refused, as Jira's newer search does.
 *
 * @throws JqlError
 */
export function parseJql(jql: string): Test {
  let rest = jql.replace(/\border\s+by\b.*$/is, "").trim();
  if (rest === "") {
    throw new JqlError(
      "Unbounded JQL queries are not allowed here. Please add a search restriction to your query.",
    );
  }
  const tests: Test[] = [];
  for (;;) {
    const clause = CLAUSE.exec(rest);
    if (!clause) throw new JqlError(`Error in the JQL Query: Expecting a field, found '${rest}'.`);
    const [all, name = "", operator = "", operand = ""] = clause;
    const field = Object.hasOwn(FIELDS, name.toLowerCase()) && FIELDS[name.toLowerCase()];
    if (!field) {
      throw new JqlError(
        `Field '${name}' does not exist or you do not have permission to view it.`,
      );
    }
    tests.push(testOf(field, operator.toLowerCase().replace(/\s+/, " "), valuesOf(operand)));
    rest = rest.slice(all.length).trim();
    if (rest === "") return (issue) => tests.every((test) => test(issue));
    const and = /^and\b\s*/i.exec(rest);
    if (!and) {
      throw new JqlError(
        `Error in the JQL Query: Expecting either 'OR' or 'AND' but got '${rest}'.`,
      );
    }
    rest = rest.slice(and[0].length);
  }
}

function testOf(
  field: (issue: JqlIssue) => readonly string[],
  operator: string,
  wanted: string[],
): Test {
  const has = (issue: JqlIssue) => field(issue).some((each) => wanted.includes(each.toLowerCase()));
  switch (operator) {
    case "=":
    case "in":
      return has;
    case "!=":
    case "not in":
      return (issue) => !has(issue);
    default: {
      const found = (issue: JqlIssue) =>
        field(issue).some((each) => each.toLowerCase().includes(wanted[0] ?? ""));
      return operator === "~" ? found : (issue) => !found(issue);
    }
  }
}

/** Lower case: Jira does not mind capitals. */
function valuesOf(operand: string): string[] {
  const items = operand.startsWith("(") ? operand.slice(1, -1).split(",") : [operand];
  return items.map((item) =>
    item.trim().replace(/^(["'])(.*)\1$/s, "$2").replace(/\\(.)/g, "$1").toLowerCase()
  );
}
