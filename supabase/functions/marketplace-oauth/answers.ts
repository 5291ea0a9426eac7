/** How a flow's end is told: to the caller's app, to somebody in a browser, or as JSON. */
import type { Context } from "hono";
import type { StatusCode } from "hono/utils/http-status";
import { AppError, toAppError } from "../_shared/errors.ts";
import type { AppEnv } from "../_shared/http.ts";
import { type Outcome, withOutcome } from "./flow.ts";
import { goOnPage, resultPage, wantsPage } from "./page.ts";

/** Answers with a page, and with the cookies that were set on the way. */
export function send(c: Context<AppEnv>, page: Response): Response {
  return c.newResponse(
    page.body,
    page.status as StatusCode,
    Object.fromEntries(page.headers),
  );
}

/** How a flow ended: on to where the caller wanted, as a page, or as JSON. */
export function answerOutcome(c: Context<AppEnv>, outcome: Outcome): Response {
  const { names, redirect_to, ...told } = outcome;
  c.header("cache-control", "no-store");
  c.header("referrer-policy", "no-referrer");
  if (redirect_to) {
    const url = withOutcome(redirect_to, outcome);
    // A form's answer: browsers hold its redirects to the page's form-action.
    return c.req.method === "POST"
      ? send(c, goOnPage(c.req.raw, { url, name: new URL(url).host }))
      : c.redirect(url, 302);
  }
  const isFailure = outcome.status !== "connected";
  if (!wantsPage(c.req.raw)) return c.json(told, isFailure ? 422 : 200);
  const account = outcome.account
    ? `${outcome.account} at ${names.provider}`
    : `your ${names.provider} account`;
  const message = isFailure
    ? `${outcome.message ?? "It was refused."} Ask for a new link to try again.`
    : `${names.organization} may use ${account} now. You can close this page.`;
  return send(
    c,
    resultPage(c.req.raw, {
      title: `${names.provider} is ${isFailure ? "not " : ""}connected`,
      message,
      isFailure,
      ...(isFailure ? { status: 422 } : {}),
    }),
  );
}

/** An error as a page. */
export function failurePage(c: Context<AppEnv>, thrown: unknown): Response {
  const { code, status, message } = toAppError(thrown);
  c.get("log")[status >= 500 ? "error" : "warn"]("request.failed", { code, status, message });
  return send(
    c,
    resultPage(c.req.raw, {
      title: status === 404 ? "This link does not work" : "This did not work",
      message,
      isFailure: true,
      status,
    }),
  );
}

/** What a form has to show when it is shown again; undefined for any other failure. */
export function formProblems(
  thrown: unknown,
): { field: string | null; message: string }[] | undefined {
  if (!(thrown instanceof AppError)) return undefined;
  if (thrown.code === "validation_failed" && Array.isArray(thrown.details)) {
    return thrown.details.map(({ pointer, message }) => ({
      field: String(pointer).slice(1).replace("/", "."),
      message: String(message),
    }));
  }
  return thrown.code === "credential_refused" || thrown.code === "provider_unavailable"
    ? [{ field: null, message: thrown.message }]
    : undefined;
}
