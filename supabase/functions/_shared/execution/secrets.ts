/** Credentials that must not come back: not in an answer, not in an error, not in a log. */
import { REDACTED } from "../gateway/redact.ts";

/** Shorter values are not looked for: they would be found everywhere. */
const SHORTEST = 6;

/**
 * Knows an execution's secrets in the spellings in which a provider may repeat them, and takes them
 * out of texts.
 */
export class SecretScrubber {
  readonly #known = new Set<string>();
  readonly #spellings = new Set<string>();

  /** Adds secrets, for example those of a renewed credential. */
  add(...secrets: (string | undefined)[]): void {
    for (const secret of secrets) {
      if (!secret || secret.length < SHORTEST || this.#known.has(secret)) continue;
      this.#known.add(secret);
      const inJson = JSON.stringify(secret).slice(1, -1);
      for (const spelling of [secret, inJson, encodeURIComponent(secret.toWellFormed())]) {
        this.#spellings.add(spelling);
      }
      const bytes = new TextEncoder().encode(secret);
      this.#spellings.add(btoa(String.fromCharCode(...bytes)).replace(/=+$/, ""));
    }
  }

  /** Adds what a sealed request carries as its authorization. */
  addHeader(value: string | undefined): void {
    const [scheme, credentials] = value?.split(/\s+/, 2) ?? [];
    this.add(credentials ?? scheme);
  }

  /** A text without any of them. */
  text(text: string): string {
    let clean = text;
    for (const spelling of this.#spellings) {
      if (clean.includes(spelling)) clean = clean.replaceAll(spelling, REDACTED);
    }
    return clean;
  }

  /** A JSON value without any of them. */
  value<T>(value: T): T {
    const text = JSON.stringify(value);
    if (text === undefined) return value;
    const clean = this.text(text);
    return clean === text ? value : JSON.parse(clean);
  }
}
