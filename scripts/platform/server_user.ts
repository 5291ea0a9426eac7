/**
 * Postgres refuses to run as root. When this process is root, the server runs as the unprivileged
 * user `postgres` instead.
 * @module
 */

/** The user a server runs as. */
export interface ServerUser {
  name: string;
  uid: number;
  gid: number;
}

async function idOf(flag: "-u" | "-g", name: string): Promise<number | null> {
  const id = await new Deno.Command("id", { args: [flag, name], stdout: "piped", stderr: "null" })
    .output();
  return id.success ? Number(new TextDecoder().decode(id.stdout)) : null;
}

/**
 * The unprivileged user to run servers as, or null when this process is not root and runs them as
 * itself. On Linux a missing `postgres` user is made (a system user without home or shell).
 * @throws {Error} when root finds no such user and cannot make one
 */
export async function serverUser(): Promise<ServerUser | null> {
  if (Deno.uid() !== 0) return null;
  const candidates = Deno.build.os === "darwin" ? ["_postgres", "nobody"] : ["postgres"];
  for (const attempt of [0, 1]) {
    for (const name of candidates) {
      const [uid, gid] = [await idOf("-u", name), await idOf("-g", name)];
      if (uid && gid) return { name, uid, gid };
    }
    if (attempt === 0 && Deno.build.os === "linux") {
      await new Deno.Command("useradd", {
        args: ["--system", "--user-group", "--no-create-home", "--shell", "/bin/false", "postgres"],
        stdout: "null",
        stderr: "null",
      }).output().catch(() => null);
    }
  }
  throw new Error(
    'Postgres does not run as root and there is no user "postgres": make one ' +
      "(useradd --system postgres), or run this as an ordinary user.",
  );
}

/** Whether a user can reach a folder through all its parents. */
export async function userCanEnter(user: ServerUser | null, folder: string): Promise<boolean> {
  const test = await new Deno.Command("/bin/sh", {
    args: ["-c", 'test -x "$0"', folder],
    cwd: "/",
    ...(user ? { uid: user.uid, gid: user.gid } : {}),
    stdout: "null",
    stderr: "null",
  }).output();
  return test.success;
}
