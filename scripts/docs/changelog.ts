/**
 * Reading the changelog.
 * @see https://keepachangelog.com/en/1.1.0/
 * @module
 */

/** The changelog, from the root of the checkout. */
export const CHANGELOG = ".github/CHANGELOG.md";

/**
 * What the changelog says of a version.
 * @returns the section's text, without its heading
 * @throws {Error} when the version has no section, or an empty one
 */
export function releaseNotes(changelog: string, version: string): string {
  const sections = changelog.split(/^## /m).slice(1);
  const section = sections.find((text) => text.startsWith(`[${version}]`));
  const notes = section?.split("\n").slice(1).join("\n").replace(/^\[[^\]]+\]: .*$/gm, "").trim();
  if (!notes) {
    throw new Error(
      `${CHANGELOG} says nothing of ${version}: move what stands under Unreleased there, as ` +
        `"## [${version}] - YYYY-MM-DD".`,
    );
  }
  return notes;
}
