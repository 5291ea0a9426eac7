/**
 * What a failed `fetch` means.
 *
 * The difference that matters is whether the request can have reached its destination: a refused
 * connection certainly did not, a connection lost after sending possibly did.
 */

/** Why a request got no answer. */
export interface FetchFailure {
  /** `connect`: certainly not sent; `timeout` and `lost`: possibly received. */
  kind: "connect" | "timeout" | "lost";
  /** One line without the URL, whose path or query may hold a secret. */
  reason: string;
}

/** Deno's wording of hyper's error, in the message or in its cause, depending on the version. */
const HYPER = /client error \((\w+)\)(?:: (.*))?$/s;
const NEVER_SENT =
  /error trying to connect|dns error|ports? \d+ (is|are) blocked|scheme '.*' not supported|invalid url/i;

/**
 * Classifies what `fetch` threw.
 *
 * Unknown wordings count as `lost`: to believe wrongly that a request never arrived makes things
 * happen twice.
 */
export function describeFetchFailure(thrown: unknown): FetchFailure {
  if (thrown instanceof Error && (thrown.name === "TimeoutError" || thrown.name === "AbortError")) {
    return { kind: "timeout", reason: "no complete answer in time" };
  }
  const messages: string[] = [];
  for (let error = thrown; error instanceof Error && messages.length < 4; error = error.cause) {
    messages.push(error.message);
  }
  const text = messages.join(": ");
  const hyper = HYPER.exec(text);
  const reason = hyper?.[2] ?? text.replace(/\bhttps?:\/\/\S+/g, "the URL");
  const connect = hyper?.[1] === "Connect" || NEVER_SENT.test(text);
  return { kind: connect ? "connect" : "lost", reason: reason.slice(0, 300) || "no answer" };
}
