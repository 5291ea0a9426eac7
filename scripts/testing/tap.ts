/**
 * Reading TAP, the Test Anything Protocol, as pgTAP writes it.
 * @see https://testanything.org/tap-specification.html
 * @module
 */

/** What a stream of TAP said. */
export interface TapResult {
  passed: number;
  failed: number;
  skipped: number;
  /** One entry a failure: the failing line and its diagnostics, or what was wrong with the plan. */
  failures: string[];
}

/**
 * Judges TAP output. A missing, repeated or unmet plan and a bail-out count as one failure each;
 * failing TODO tests and skipped ones do not.
 * @param lines output lines, in order
 */
export function readTap(lines: Iterable<string>): TapResult {
  const result: TapResult = { passed: 0, failed: 0, skipped: 0, failures: [] };
  let planned: number | null = null;
  let ran = 0;
  let skipAll = false;
  let open = false; // whether diagnostics belong to a failure

  const fail = (text: string) => {
    result.failed++;
    result.failures.push(text);
  };
  for (const line of lines) {
    const plan = /^1\.\.(\d+)\s*(#\s*skip\b.*)?$/i.exec(line);
    const test = /^(not )?ok\b/.exec(line);
    if (plan) {
      if (planned !== null) fail(`a second plan: ${line}`);
      planned = Number(plan[1]);
      skipAll = plan[2] !== undefined;
    } else if (test) {
      ran++;
      const directive = /(?<!\\)#\s*(todo|skip)\b/i.exec(line)?.[1]?.toLowerCase();
      open = false;
      if (directive === "skip") result.skipped++;
      else if (!test[1] || directive === "todo") result.passed++;
      else {
        fail(line);
        open = true;
      }
    } else if (/^Bail out!/.test(line)) {
      fail(line);
    } else if (open && line.startsWith("#")) {
      result.failures[result.failures.length - 1] += `\n${line}`;
    }
  }
  if (skipAll && ran === 0) result.skipped++;
  else if (planned === null) fail("no plan: the file ended before plan() or finish()");
  else if (planned !== ran) fail(`planned ${planned} tests but ran ${ran}`);
  return result;
}
