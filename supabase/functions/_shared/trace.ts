/** Correlation ids and W3C trace context. @see https://www.w3.org/TR/trace-context/ */

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const NIL = "00000000000000000000000000000000";

/** Whether a text is a UUID in its canonical spelling. */
export function isUuid(value: string): boolean {
  return UUID.test(value.toLowerCase());
}

/**
 * The correlation id a caller sent: the trace id of `traceparent`, else `x-correlation-id`.
 *
 * @returns a UUID, or undefined when neither header holds a valid one
 */
export function correlationFrom(headers: Headers): string | undefined {
  const trace = TRACEPARENT.exec(headers.get("traceparent")?.toLowerCase() ?? "")?.[1];
  if (trace && trace !== NIL) {
    return trace.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }
  const id = headers.get("x-correlation-id")?.toLowerCase();
  return id && isUuid(id) ? id : undefined;
}

/**
 * A `traceparent` whose trace id is the correlation id, with a fresh span id.
 *
 * @param correlationId UUID
 */
export function traceparent(correlationId: string): string {
  const span = crypto.getRandomValues(new Uint8Array(8));
  const hex = Array.from(span, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `00-${correlationId.replaceAll("-", "").toLowerCase()}-${hex}-01`;
}
