/** Structured logs: one JSON object a line, so that every sink can filter by correlation id. */
import { env } from "./env.ts";

/** Fields of a log line; never bodies, tokens or headers. */
export type LogFields = Record<string, unknown>;

const LEVELS = { debug: 10, info: 20, warn: 30, error: 40 } as const;
type Level = keyof typeof LEVELS;

/** Writes JSON lines with `fn`, `event` and whatever fields it was made with. */
export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** A logger that adds these fields to every line, for example a correlation id. */
  with(fields: LogFields): Logger;
}

/**
 * Makes a logger for a function.
 *
 * @param fn the function's name
 * @param fields added to every line
 */
export function createLogger(fn: string, fields: LogFields = {}): Logger {
  const write = (level: Level, event: string, extra?: LogFields) => {
    if (LEVELS[level] < LEVELS[env().MARKETPLACE_LOG_LEVEL]) return;
    const line = JSON.stringify({
      at: new Date().toISOString(),
      level,
      fn,
      event,
      ...fields,
      ...extra,
    });
    // The host sorts lines into its own levels by the console method.
    if (level === "error") console.error(line);
    else if (level === "warn") console.warn(line);
    else console.log(line);
  };
  return {
    debug: (event, extra) => write("debug", event, extra),
    info: (event, extra) => write("info", event, extra),
    warn: (event, extra) => write("warn", event, extra),
    error: (event, extra) => write("error", event, extra),
    with: (more) => createLogger(fn, { ...fields, ...more }),
  };
}
