/**
 * What a deployment would do, as data: every part of the project compares what is wanted with what
 * is there and says so in these words. A dry run prints them, a real one then applies them.
 * @module
 */

/** How a thing at the destination compares with the checkout. */
export type State = "same" | "new" | "changed" | "hint";

/** One thing that is deployed. */
export interface Item {
  /** Kind of thing, e.g. `migration`. */
  kind: string;
  name: string;
  state: State;
  /** One short phrase, never a secret. */
  note?: string;
}

/** One part of the project: its items, and how to bring the destination there. */
export interface Part {
  items: Item[];
  /**
   * Applies the items that are not the same. Only called when there are some.
   * @returns lines for the person at the console
   * @throws {Error} naming what was refused and the remedy
   */
  apply(): Promise<string[]>;
}

const MARKS: Record<State, string> = { same: "=", new: "+", changed: "~", hint: "!" };

/** Whether something is to be done about an item. */
export const isPending = (item: Item): boolean => item.state === "new" || item.state === "changed";

/** The items as lines: changes one by one, what is the same as one line a kind. */
export function describe(items: readonly Item[]): string[] {
  const line = (mark: string, kind: string, text: string) => `${mark} ${kind.padEnd(11)} ${text}`;
  const lines: string[] = [];
  for (const kind of new Set(items.map((item) => item.kind))) {
    const of = items.filter((item) => item.kind === kind);
    const same = of.filter((item) => item.state === "same");
    if (same.length > 0) {
      const text = same.length > 6 ? `${same.length} as they are` : same.map(nameOf).join(", ");
      lines.push(line(MARKS.same, kind, text));
    }
    for (const item of of) {
      if (item.state !== "same") lines.push(line(MARKS[item.state], kind, nameOf(item)));
    }
  }
  return lines;
}

const nameOf = (item: Item) => item.note ? `${item.name} (${item.note})` : item.name;
