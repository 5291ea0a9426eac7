/** How deep JSON may be nested. */

/** Far from what any API speaks; what is deeper could not be written down again. */
export const MAX_NESTING = 200;

/**
 * Whether a JSON text is nested deeper than allowed, told without building it: `JSON.parse` takes
 * millions of brackets, but whatever walks the value later, `JSON.stringify` included, runs out of
 * stack.
 */
export function isTooDeep(text: string, limit: number = MAX_NESTING): boolean {
  let depth = 0;
  let isInText = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (isInText) {
      if (code === 0x5c) at++; // an escaped character
      else if (code === 0x22) isInText = false;
    } else if (code === 0x22) isInText = true;
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > limit) return true;
    } else if (code === 0x5d || code === 0x7d) depth--;
  }
  return false;
}
