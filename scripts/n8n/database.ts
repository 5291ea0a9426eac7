/** n8n's own database beside the product's: its tables never share a schema, or a role, with ours. */
import postgres from "postgres";

/** What {@link ensureDatabase} makes. */
export interface DatabaseOptions {
  /** Connection as a role that may create roles and databases; superuser is not needed. */
  adminUrl: string;
  /** Name of the database and of the role that owns it. */
  name: string;
  /** Password the role is given. */
  password: string;
  /**
   * Names the encryption key its content was written with. A database of another key, left by a
   * state folder that is gone, cannot be read by anyone and is made anew.
   */
  keyId: string;
}

/**
 * Makes the role and its database, or brings the role's password up to date.
 *
 * @returns the database's oid: another one than last time means that it was made anew.
 * @throws Error when a database of that name exists that was not made here, PostgresError when the
 *   admin role lacks CREATEROLE or CREATEDB, or cannot connect.
 */
export async function ensureDatabase(options: DatabaseOptions): Promise<number> {
  const { adminUrl, name, password, keyId } = options;
  const sql = postgres(adminUrl, { max: 1, onnotice: () => {}, connect_timeout: 10 });
  try {
    const quoted = sql(name);
    const literal = (text: string) => sql.unsafe(`'${text.replaceAll("'", "''")}'`);
    const mark = `local n8n, key ${keyId}`;
    const find = async () => {
      const [found] = await sql<{ oid: number; mark: string | null }[]>`
        select oid, shobj_description(oid, 'pg_database') as mark
        from pg_database where datname = ${name}`;
      return found;
    };

    const [role] = await sql`select 1 from pg_roles where rolname = ${name}`;
    if (role === undefined) {
      await sql`create role ${quoted} login password ${literal(password)}`;
      // Giving a database to a role needs membership in it, unless one is a superuser.
      await sql`grant ${quoted} to current_user`;
    } else {
      await sql`alter role ${quoted} login password ${literal(password)}`;
    }

    const found = await find();
    if (found?.mark === mark) return found.oid;
    if (found !== undefined) {
      if (!found.mark?.startsWith("local n8n, key ")) {
        throw new Error(
          `The database "${name}" exists and was not made for the local n8n. Rename or drop it, ` +
            "or use another Postgres.",
        );
      }
      await sql`drop database ${quoted} with (force)`;
    }
    await sql`create database ${quoted} owner ${quoted}`;
    await sql`comment on database ${quoted} is ${literal(mark)}`;
    await sql`revoke connect on database ${quoted} from public`;
    return (await find())!.oid;
  } finally {
    await sql.end({ timeout: 5 });
  }
}
