/**
 * A request of Drive's API, for an integration of Docs or Sheets: documents and spreadsheets are
 * files of Drive, whose API has another host. The token is good for both.
 * @see https://developers.google.com/workspace/drive/api/reference/rest/v3
 */
import type { Handler } from "../../execution/handler.ts";
import { driveBase } from "./google_docs_export.ts";

/** Sends what the row describes, to Drive. */
export const driveApi: Handler = async ({ begun, client, request }) => {
  const drive = driveBase(begun);
  client.permit(drive);
  const hasBody = request.method === "POST" || request.method === "PATCH";
  const { status, text, body } = await client.call({
    method: request.method,
    url: drive + request.url.slice(client.baseUrl.length),
    headers: {
      accept: "application/json",
      ...(hasBody ? { "content-type": "application/json" } : {}),
    },
    body: hasBody ? JSON.stringify(request.rest) : undefined,
  });
  return { kind: "result", status, result: text === "" ? null : body };
};
