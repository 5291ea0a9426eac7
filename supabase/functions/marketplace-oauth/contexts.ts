/** Looking up what is to be connected. */
import type { Sql } from "../_shared/db.ts";
import { AppError } from "../_shared/errors.ts";
import {
  type ConnectingContext,
  type ConnectionContext,
  type CredentialType,
  offeredTypes,
  type Settings,
} from "../_shared/oauth/context.ts";
import { defaultType } from "./fields.ts";

/** @throws MK404 */
export async function readIntegration(sql: Sql, slug: string): Promise<ConnectingContext> {
  const [row] = await sql<{ context: ConnectingContext }[]>`
    select marketplace.connecting_context(${slug}) as context
  `;
  return row!.context;
}

/** @throws AppError `not_found` (404) when the connection went meanwhile */
export async function readContext(sql: Sql, id: string): Promise<ConnectionContext> {
  const [row] = await sql<{ context: ConnectionContext | null }[]>`
    select marketplace.connection_context(${id}) as context
  `;
  if (row?.context) return row.context;
  throw new AppError("not_found", 404, `Connection ${id} does not exist.`);
}

/**
 * The type of a credential that is handed in without saying.
 *
 * @throws AppError `credential_type_unsupported` (422)
 */
export function requireType({ provider }: ConnectingContext): CredentialType {
  const type = defaultType(provider, { inBrowser: false });
  if (type) return type;
  throw new AppError(
    "credential_type_unsupported",
    422,
    `Say which type of credential this is: ${provider.name} takes ${
      offeredTypes(provider).join(", ")
    }.`,
  );
}

/** What the integration itself sets, which nobody needs to be asked for. */
export function integrationSettings({ integration }: ConnectingContext): Settings {
  const isPlain = (entry: [string, unknown]): entry is [string, string | number] =>
    typeof entry[1] === "string" || typeof entry[1] === "number";
  return Object.fromEntries(Object.entries(integration.config).filter(isPlain));
}
