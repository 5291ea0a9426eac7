/**
 * The hosted pages: one form, a few sentences, nothing from elsewhere.
 *
 * They are XHTML and say so to browsers that take it, which all do: Supabase's shared domain turns
 * pages of type text/html into plain text.
 * @see https://supabase.com/docs/guides/functions/limits
 */
import { createHash } from "node:crypto";
import type { Field } from "./fields.ts";

const STYLE = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 30rem; padding: 3rem 1.25rem; }
h1 { font-size: 1.5rem; line-height: 1.25; }
label { display: block; font-weight: 600; margin-top: 1.25rem; }
input, textarea, button, .button { box-sizing: border-box; font: inherit; padding: .6rem .75rem; border-radius: .375rem; }
input, textarea { border: 1px solid GrayText; width: 100%; }
textarea { min-height: 8rem; font-family: ui-monospace, monospace; font-size: .875rem; }
button, .button { background: #1c4ed8; border: 0; color: #fff; cursor: pointer; display: inline-block; font-weight: 600; margin-top: 1.5rem; text-decoration: none; }
:focus-visible { outline: 3px solid #f59e0b; outline-offset: 2px; }
small { color: GrayText; display: block; }
[role=alert] { border-left: .25rem solid #b91c1c; padding-left: .75rem; }
`;

const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64");

/** Nothing but the page itself: no script, no frame, no foreign form, no referrer. */
const HEADERS = {
  "cache-control": "no-store",
  "content-security-policy":
    `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action 'self'; base-uri 'none'; ` +
    "frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "x-robots-tag": "noindex",
};

/** A piece of markup; everything else is text and is escaped. */
class Markup {
  constructor(readonly text: string) {}
}

type Piece =
  | string
  | number
  | Markup
  | null
  | undefined
  | false
  | readonly Piece[];

/** Markup from a template: what is put in is text, unless it is markup already. */
function markup(strings: TemplateStringsArray, ...pieces: Piece[]): Markup {
  return new Markup(
    strings.reduce((all, text, i) => all + render(pieces[i - 1]) + text),
  );
}

function render(piece: Piece): string {
  if (piece === null || piece === undefined || piece === false) return "";
  if (piece instanceof Markup) return piece.text;
  if (Array.isArray(piece)) return piece.map(render).join("");
  return String(piece).toWellFormed()
    // deno-lint-ignore no-control-regex
    .replace(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]/g, "")
    .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Whether somebody looks at the answer in a browser. */
export function wantsPage(request: Request): boolean {
  return /\b(text\/html|application\/xhtml\+xml)\b/.test(
    request.headers.get("accept") ?? "",
  );
}

interface PageOptions {
  title: string;
  /** URL the browser goes on to by itself. */
  goOn?: string;
  status?: number;
}

function page(
  request: Request,
  { title, goOn, status = 200 }: PageOptions,
  content: Markup,
): Response {
  const type = /\bapplication\/xhtml\+xml\b/.test(request.headers.get("accept") ?? "")
    ? "application/xhtml+xml"
    : "text/html";
  const document = markup`<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" lang="en" xml:lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
${goOn && markup`<meta http-equiv="refresh" content="0; url=${goOn}" />`}
<title>${title}</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
<main>
${content}
</main>
</body>
</html>
`;
  return new Response(document.text, {
    status,
    headers: { ...HEADERS, "content-type": `${type}; charset=utf-8` },
  });
}

/** What the connect page is about. */
export interface ConnectPage {
  provider: string;
  organization: string;
  /** What the provider will be asked for; none: it is not asked. */
  scopes: readonly string[];
  /** What has to be filled in. */
  fields: readonly Field[];
  /** What was given in the open before; secrets are never shown again. */
  values: Readonly<Record<string, string>>;
  /** What is wrong: by field, or by itself. */
  problems: readonly { field: string | null; message: string }[];
  /** Consent is given at the provider's own page. */
  isConsentElsewhere: boolean;
}

/** The page behind a connect link. */
export function connectPage(request: Request, about: ConnectPage): Response {
  const {
    provider,
    organization,
    scopes,
    fields,
    problems,
    isConsentElsewhere,
  } = about;
  const title = `Connect ${provider}`;
  const general = problems.filter(({ field }) => field === null);
  return page(
    request,
    { title, status: problems.length > 0 ? 422 : 200 },
    markup`<h1>${title}</h1>
<p><strong>${organization}</strong> asks for access to your ${provider} account. Go on only if you
expected this.</p>
${
      general.length > 0 &&
      markup`<div role="alert">${general.map(({ message }) => markup`<p>${message}</p>`)}</div>`
    }
${
      isConsentElsewhere && scopes.length > 0 &&
      markup`<p>At ${provider} you will be asked to allow:</p>
<ul>${scopes.map((scope) => markup`<li><code>${scope}</code></li>`)}</ul>`
    }
<form method="post" autocomplete="off">
${fields.map((field) => input(field, about))}
<button type="submit">${
      isConsentElsewhere ? `Continue to ${provider}` : `Connect ${provider}`
    }</button>
</form>`,
  );
}

function input(field: Field, { values, problems }: ConnectPage): Markup {
  const id = `${field.place}.${field.name}`;
  const wrong = problems.filter((problem) => problem.field === id);
  const isSecret = field.place === "credential";
  const value = isSecret ? "" : values[id] ?? field.default ?? "";
  const hints = [
    field.description ? `${id}.hint` : "",
    wrong.length > 0 ? `${id}.wrong` : "",
  ];
  const attributes = markup`id="${id}" name="${id}" autocomplete="off" spellcheck="false"${
    field.isRequired && markup` required="required"`
  }${wrong.length > 0 && markup` aria-invalid="true"`}${
    hints.join("") !== "" &&
    markup` aria-describedby="${hints.join(" ").trim()}"`
  }`;
  return markup`<label for="${id}">${field.title}${field.isRequired ? "" : " (optional)"}</label>
${
    field.isMultiline
      ? markup`<textarea ${attributes}></textarea>`
      : markup`<input type="${isSecret ? "password" : "text"}" ${attributes} value="${value}"${
        field.pattern && markup` pattern="${field.pattern}"`
      } />`
  }
${
    field.description &&
    markup`<small id="${id}.hint">${field.description}</small>`
  }
${
    wrong.length > 0 &&
    markup`<p id="${id}.wrong" role="alert">${wrong.map(({ message }) => message).join(", ")}</p>`
  }`;
}

/** A page that goes on by itself; without scripts, and with a link for those who are not moved. */
export function goOnPage(
  request: Request,
  to: { url: string; name: string },
): Response {
  return page(
    request,
    { title: `To ${to.name}`, goOn: to.url },
    markup`<h1>To ${to.name}</h1>
<p>If nothing happens, go on by yourself.</p>
<p><a class="button" href="${to.url}" rel="noreferrer">Continue to ${to.name}</a></p>`,
  );
}

/** A page that says how it ended. */
export function resultPage(
  request: Request,
  result: {
    title: string;
    message: string;
    isFailure: boolean;
    status?: number;
  },
): Response {
  return page(
    request,
    {
      title: result.title,
      ...(result.status ? { status: result.status } : {}),
    },
    markup`<h1>${result.title}</h1>
<p role="${result.isFailure ? "alert" : "status"}">${result.message}</p>`,
  );
}
