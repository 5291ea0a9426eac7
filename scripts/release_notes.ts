/**
 * `deno task release:notes`: what a release is announced with.
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import settings from "../deno.json" with { type: "json" };
import { CHANGELOG, releaseNotes } from "./docs/changelog.ts";
import { runCommand, showHelp } from "./platform/command.ts";
import { REPOSITORY } from "./platform/layout.ts";

const HELP = `
Usage: deno task release:notes [TAG]

Prints the changelog's section of the version in deno.json. With a tag, such as v0.1.0, it has to be
that version's.`;

await runCommand(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { help: { type: "boolean", short: "h" } },
  });
  if (values.help) showHelp(HELP);

  const [tag] = positionals;
  if (tag !== undefined && tag !== `v${settings.version}`) {
    throw new Error(`The tag is ${tag}, but deno.json has version ${settings.version}.`);
  }
  console.log(
    releaseNotes(await Deno.readTextFile(join(REPOSITORY, CHANGELOG)), settings.version),
  );
  return 0;
});
