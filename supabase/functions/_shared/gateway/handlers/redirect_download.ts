/** Bytes behind a redirect: the provider signs a link to another host, which takes no credential. */
import { type Handler, toContent } from "../../execution/handler.ts";
import { ExecutionError } from "../../execution/types.ts";

const REDIRECTS = [301, 302, 303, 307, 308];

/** Asks for the link with the credential, and for what is behind it without. */
export const redirectDownload: Handler = async ({ client, request }) => {
  const answer = await client.open(request, { accept: REDIRECTS });
  if (!REDIRECTS.includes(answer.status)) {
    return { kind: "content", status: answer.status, content: toContent(answer) };
  }
  await answer.body?.cancel();
  const location = answer.headers.get("location");
  if (!location || !URL.canParse(location, request.url)) {
    throw new ExecutionError("provider_error", 502, "The provider redirects to nowhere.", {
      effect: "none",
      providerStatus: answer.status,
    });
  }
  const content = await client.openElsewhere({
    method: "GET",
    url: new URL(location, request.url).href,
  });
  return { kind: "content", status: content.status, content: toContent(content) };
};
