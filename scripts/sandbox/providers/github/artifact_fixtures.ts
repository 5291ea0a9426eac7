import { z } from "zod";
import { deterministicBytes, FixtureError, zipArchive, zipOverhead } from "../../core/fixtures.ts";

/** A workflow run with artifacts, as `POST /_control/github/artifacts` takes it. */
export const GitHubRunFixture = z.strictObject({
  owner: z.string().min(1).default("octo-org"),
  repo: z.string().min(1).default("octo-repo"),
  /** A private repository answers 404 to whoever may not read it. */
  private: z.boolean().default(true),
  /** `false`: the sandbox token may not read it either. */
  readable: z.boolean().default(true),
  /** A run that exists gets further artifacts. */
  run_id: z.int().positive().optional(),
  head_branch: z.string().default("main"),
  head_sha: z.string().regex(/^[0-9a-f]{40}$/).default("009b8a3a9ccbb128af87f9b1c0f4c62e8a304f6d"),
  artifacts: z.array(z.strictObject({
    name: z.string().min(1),
    /** Size of the download in bytes, archive overhead included. */
    size: z.int().positive().default(1024),
    /** Equal seeds make equal bytes; the artifact's name when absent. */
    seed: z.string().optional(),
    /** Files of the archive by name, as text; instead of `size` and `seed`. */
    files: z.record(z.string(), z.string()).optional(),
    /** `false`: one plain file, as `upload-artifact` makes it with `archive: false`. */
    archive: z.boolean().default(true),
    /** Past its retention: listed, but its download answers 410. */
    expired: z.boolean().default(false),
  })).default([]),
});
/** The input form of {@linkcode GitHubRunFixture}. */
export type GitHubRunFixture = z.input<typeof GitHubRunFixture>;

/** An artifact of a {@linkcode GitHubRunFixture}, defaults filled in. */
export type ArtifactFixture = z.output<typeof GitHubRunFixture>["artifacts"][number];

const CONTENT_TYPES: Record<string, string> = {
  csv: "text/csv",
  html: "text/html",
  json: "application/json",
  pdf: "application/pdf",
  txt: "text/plain",
  xml: "application/xml",
  zip: "application/zip",
};

/** The content type of a plain file by its extension. */
export function contentType(name: string): string {
  const extension = name.slice(name.lastIndexOf(".") + 1).toLowerCase();
  return CONTENT_TYPES[extension] ?? "application/octet-stream";
}

/**
 * The bytes of an artifact's download.
 *
 * @throws FixtureError when the size leaves no room for the archive
 */
export function artifactBytes(wanted: ArtifactFixture): Iterable<Uint8Array> {
  const encoder = new TextEncoder();
  if (wanted.files) {
    const entries = Object.entries(wanted.files)
      .map(([name, text]) => ({ name, pieces: [encoder.encode(text)] }));
    return wanted.archive ? zipArchive(entries) : entries.flatMap(({ pieces }) => pieces);
  }
  const seed = wanted.seed ?? wanted.name;
  if (!wanted.archive) return deterministicBytes(seed, wanted.size);
  const file = `${wanted.name}.bin`;
  const inner = wanted.size - zipOverhead(file);
  if (inner < 0) {
    throw new FixtureError(
      `The artifact ${wanted.name} is to have ${wanted.size} bytes, but an archive with the file ${file} has at least ${
        zipOverhead(file)
      }.`,
    );
  }
  return zipArchive([{ name: file, pieces: deterministicBytes(seed, inner) }]);
}
