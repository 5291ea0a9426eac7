/** Request headers as they are kept with an event: without proofs, credentials and bulk. */

/** Anything whose name says that it proves or authorizes. */
const SECRET_NAME =
  /auth|cookie|secret|signature|token|password|credential|hmac|hook-key|api-?key|jwt|sig\d?$/;

const MAX_HEADERS = 64;
const MAX_VALUE = 512;

/**
 * The headers as JSON text, names in lower case, secret values replaced.
 *
 * @param proofs names of the headers that this provider's proof uses, whatever they are called
 */
export function storedHeaders(
  headers: Headers,
  proofs: readonly string[],
): string {
  const kept: [string, string][] = [];
  // Not for…of: where headers can be changed, Deno sorts all of them again for each one.
  headers.forEach((value, name) => {
    if (kept.length === MAX_HEADERS) return;
    const isSecret = proofs.includes(name) || SECRET_NAME.test(name);
    // deno-lint-ignore no-control-regex
    const text = value.replace(/[\u0000-\u001f]/g, "\ufffd");
    kept.push([
      name.slice(0, MAX_VALUE),
      isSecret ? "[redacted]" : text.slice(0, MAX_VALUE),
    ]);
  });
  return JSON.stringify(Object.fromEntries(kept));
}
