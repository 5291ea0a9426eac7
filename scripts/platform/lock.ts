/**
 * One supervisor a home: an advisory file lock that the system drops with its process, so that a
 * killed run never leaves a lock that has to be cleared by hand.
 * @module
 */
import { dirname } from "node:path";

/** A held lock. */
export interface HomeLock {
  /** Removes the file and lets the next one in. */
  release(): void;
}

async function sameFile(file: Deno.FsFile, path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).ino === (await file.stat()).ino;
  } catch {
    return false;
  }
}

/**
 * Takes the lock of a home.
 * @param path the lock file; its folder is made when missing
 * @returns the lock, or the pid of whoever holds it
 */
export async function takeLock(path: string): Promise<HomeLock | { heldBy: number }> {
  await Deno.mkdir(dirname(path), { recursive: true });
  for (;;) {
    const file = await Deno.open(path, { read: true, write: true, create: true, mode: 0o644 });
    if (!(await file.tryLock(true))) {
      const pid = parseInt(await new Response(file.readable).text(), 10);
      return { heldBy: Number.isNaN(pid) ? 0 : pid };
    }
    // The holder removes the file before it lets go: what was locked may be that old file.
    if (!(await sameFile(file, path))) {
      file.close();
      continue;
    }
    await file.truncate(0);
    await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
    return {
      release() {
        try {
          Deno.removeSync(path);
        } catch (error) {
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        }
        file.close();
      },
    };
  }
}

/** The pid of the supervisor that holds a home, or null when none runs. */
export async function lockHolder(path: string): Promise<number | null> {
  try {
    await Deno.stat(path);
  } catch {
    return null;
  }
  const taken = await takeLock(path);
  if ("heldBy" in taken) return taken.heldBy;
  taken.release();
  return null;
}
