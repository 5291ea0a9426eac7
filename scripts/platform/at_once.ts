/**
 * Work that several stacks of one process want at the same moment.
 * @module
 */

const underWay = new Map<string, Promise<unknown>>();

/**
 * Does something, or waits for whoever in this process is doing it.
 * @param what names it, such as the path that it makes
 */
export function doneOnce<T>(what: string, work: () => Promise<T>): Promise<T> {
  const begun = underWay.get(what) as Promise<T> | undefined;
  if (begun) return begun;
  const doing = work().finally(() => underWay.delete(what));
  underWay.set(what, doing);
  return doing;
}
