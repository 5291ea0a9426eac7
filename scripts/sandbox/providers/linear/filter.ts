/** What a filter is made of: comparators by name, or filters of what it is related to. */
export type Filter = { [name: string]: unknown };

type Comparator = (value: unknown, wanted: unknown) => boolean;

const folded = (value: unknown) => String(value ?? "").toLowerCase();

const COMPARATORS: Record<string, Comparator> = {
  eq: (value, wanted) => value === wanted,
  neq: (value, wanted) => value !== wanted,
  in: (value, wanted) => (wanted as unknown[]).includes(value),
  nin: (value, wanted) => !(wanted as unknown[]).includes(value),
  null: (value, wanted) => (value === null || value === undefined) === wanted,
  contains: (value, wanted) => String(value ?? "").includes(String(wanted)),
  containsIgnoreCase: (value, wanted) => folded(value).includes(folded(wanted)),
  startsWith: (value, wanted) => String(value ?? "").startsWith(String(wanted)),
  endsWith: (value, wanted) => String(value ?? "").endsWith(String(wanted)),
  lt: (value, wanted) => Number(value) < Number(wanted),
  lte: (value, wanted) => Number(value) <= Number(wanted),
  gt: (value, wanted) => Number(value) > Number(wanted),
  gte: (value, wanted) => Number(value) >= Number(wanted),
};

/** Whether a record, or one it belongs to, is as a filter wants it. */
export function matches(record: unknown, filter: Filter | null | undefined): boolean {
  return Object.entries(filter ?? {}).every(([name, wanted]) => {
    if (wanted === null || wanted === undefined) return true;
    if (name === "and") return (wanted as Filter[]).every((each) => matches(record, each));
    if (name === "or") return (wanted as Filter[]).some((each) => matches(record, each));
    const compare = COMPARATORS[name];
    if (compare) return compare(record, wanted);
    return matches((record as Record<string, unknown> | null)?.[name], wanted as Filter);
  });
}
