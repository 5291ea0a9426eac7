/**
 * What a run of tests came to.
 * @module
 */

/** A test that failed. */
export interface TestFailure {
  /** Relative to the checkout. */
  file: string;
  name: string;
  /** What it said, possibly of many lines. */
  message: string;
}

/** Counts of a run, and which tests they were. */
export interface TestResults {
  passed: number;
  failed: number;
  failures: TestFailure[];
  /** Failed at first and passed when run again; counted as passed. */
  flaky: TestFailure[];
}

/** All of them together. */
export function sumResults(results: Iterable<TestResults>): TestResults {
  const sum: TestResults = { passed: 0, failed: 0, failures: [], flaky: [] };
  for (const { passed, failed, failures, flaky } of results) {
    sum.passed += passed;
    sum.failed += failed;
    sum.failures.push(...failures);
    sum.flaky.push(...flaky);
  }
  return sum;
}

/** The last of two runs counts; what failed only in the first is named as flaky. */
export function afterRetry(first: TestResults, last: TestResults): TestResults {
  const key = ({ file, name }: TestFailure) => `${file}\n${name}`;
  const named = new Set([...last.failures, ...last.flaky].map(key));
  const flaky = first.failures.filter((failure) => !named.has(key(failure)));
  return { ...last, flaky: [...last.flaky, ...flaky] };
}

/** A line a failure, cut where it gets long. */
export function listFailures(failures: readonly TestFailure[]): string {
  return failures.map(({ file, name, message }) => {
    const said = message.replace(/\s+/g, " ").trim();
    return `  ${file}: ${name}${
      said && `: ${said.length > 300 ? `${said.slice(0, 300)}…` : said}`
    }`;
  }).join("\n");
}
