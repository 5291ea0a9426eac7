/**
 * Interleaved rounds: whatever else the machine does hits every variant alike, so that ratios hold
 * where absolute figures do not.
 * @module
 */
import type { Bench } from "./figure.ts";

/** What one run of a variant measured: `per_second`, `p50_ms`, … */
export type Sample = Record<string, number>;

/** One of the things compared. */
export interface Variant {
  name: string;
  /** Measures once. */
  run(): Promise<Sample>;
}

/** A variant's measurements. */
export interface Row {
  name: string;
  /** By the name of what was measured. */
  values: Record<string, Summary>;
  /** The first value over the baseline's in the same round; absent without a baseline. */
  ratio?: Summary;
}

/** Several measurements of one thing. */
export interface Summary {
  median: number;
  min: number;
  max: number;
}

/** The median, and how far the rounds lie apart. */
export function summarize(values: readonly number[]): Summary {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: quantile(sorted, 0.5), min: sorted[0] ?? NaN, max: sorted.at(-1) ?? NaN };
}

/**
 * A quantile by linear interpolation.
 *
 * @param sorted ascending
 * @param q from 0 to 1
 * @returns NaN of nothing
 */
export function quantile(sorted: readonly number[], q: number): number {
  if (sorted.length === 0) return NaN;
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)]!;
  return low + (sorted[Math.ceil(at)]! - low) * (at - Math.floor(at));
}

/**
 * Runs every variant once a round, each round in another order.
 *
 * @param options.rounds how often each is measured
 * @param options.baseline name of the variant that the others' first value is divided by
 * @param options.warmUp whether a first round is thrown away (default true)
 */
export async function compare(
  bench: Pick<Bench, "note" | "signal">,
  variants: readonly Variant[],
  options: { rounds: number; baseline?: string; warmUp?: boolean },
): Promise<Row[]> {
  const { rounds, baseline, warmUp = true } = options;
  const samples = new Map(variants.map(({ name }) => [name, [] as Sample[]]));
  for (let round = warmUp ? -1 : 0; round < rounds; round++) {
    for (let i = 0; i < variants.length; i++) {
      bench.signal.throwIfAborted();
      const variant = variants[(i + Math.max(round, 0)) % variants.length]!;
      const sample = await variant.run();
      if (round < 0) continue;
      samples.get(variant.name)!.push(sample);
      const shown = Object.entries(sample).map(([name, value]) => `${name} ${round3(value)}`);
      bench.note(`round ${round + 1}/${rounds}  ${variant.name}: ${shown.join(", ")}`);
    }
  }
  const first = (sample: Sample | undefined) => Object.values(sample ?? {})[0] ?? NaN;
  return variants.map(({ name }) => {
    const own = samples.get(name)!;
    const base = baseline === undefined ? undefined : samples.get(baseline);
    return {
      name,
      values: Object.fromEntries(
        Object.keys(own[0] ?? {}).map((key) => [key, summarize(own.map((each) => each[key]!))]),
      ),
      ...(base && { ratio: summarize(own.map((each, i) => first(each) / first(base[i]))) }),
    };
  });
}

function round3(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString("en", { useGrouping: false });
}

/**
 * A row's median of one value, for targets.
 *
 * @throws Error naming a row or value that is not there
 */
export function medianOf(rows: readonly Row[], name: string, value: string): number {
  const found = rows.find((row) => row.name === name)?.values[value];
  if (!found) throw new Error(`The table has no ${value} of "${name}".`);
  return found.median;
}

/** A row's median ratio, NaN where there is none. */
export function ratioOf(rows: readonly Row[], name: string): number {
  return rows.find((row) => row.name === name)?.ratio?.median ?? NaN;
}
