/**
 * Reading this project's documents: their code, their links, their headings.
 * @module
 */
import { dirname, join, relative } from "node:path";
import { REPOSITORY } from "../platform/layout.ts";

/** A fenced block. */
export interface Block {
  /** From the root of the checkout. */
  file: string;
  /** Of its first line of code, from 1. */
  line: number;
  language: string;
  code: string;
  /** Heading of the second level that it stands under; empty above the first. */
  section: string;
  /**
   * What the HTML comment above it says: `<!-- not run: why -->` or `<!-- only --help: why -->`.
   * null: it is run.
   */
  marker: { how: "not run" | "only --help"; why: string } | null;
}

const SKIPPED = new Set(["node_modules", "package"]);

/** Every document of the checkout, from its root, sorted. */
export function findDocuments(): string[] {
  const found: string[] = [];
  const visit = (folder: string) => {
    for (const { name, isDirectory, isFile } of Deno.readDirSync(folder)) {
      const isHidden = name.startsWith(".") && name !== ".github";
      if (isDirectory && !isHidden && !SKIPPED.has(name)) visit(join(folder, name));
      if (isFile && name.endsWith(".md")) found.push(relative(REPOSITORY, join(folder, name)));
    }
  };
  visit(REPOSITORY);
  return found.sort();
}

/** The text of a document. */
export function readDocument(file: string): string {
  return Deno.readTextFileSync(join(REPOSITORY, file));
}

/**
 * The fenced blocks of a document.
 * @throws {Error} when a fence is not closed, or a marker is not one of the two
 */
export function fencedBlocks(file: string, text = readDocument(file)): Block[] {
  const lines = text.split("\n");
  const blocks: Block[] = [];
  for (let index = 0; index < lines.length; index++) {
    const open = /^( *)```(\w*)$/.exec(lines[index]!);
    if (!open) continue;
    const [, indent, language] = open;
    const close = lines.findIndex((line, at) => at > index && line === `${indent}\`\`\``);
    if (close < 0) throw new Error(`${file}:${index + 1}: the fence is not closed.`);
    const above = lines.slice(0, index).findLast((line) => line.trim() !== "") ?? "";
    blocks.push({
      file,
      line: index + 2,
      language: language!,
      code: lines.slice(index + 1, close).map((line) => line.slice(indent!.length)).join("\n"),
      section: lines.slice(0, index).findLast((line) => line.startsWith("## "))?.slice(3) ?? "",
      marker: readMarker(above, `${file}:${index}`),
    });
    index = close;
  }
  return blocks;
}

function readMarker(line: string, where: string): Block["marker"] {
  const comment = /^ *<!-- ((?:not|only) .*) -->$/.exec(line)?.[1];
  if (comment === undefined) return null;
  const marker = /^(not run|only --help): (.+)$/.exec(comment);
  if (marker) return { how: marker[1] as "not run" | "only --help", why: marker[2]! };
  throw new Error(`${where}: write "not run: <why>" or "only --help: <why>", not "${comment}".`);
}

/** Code spans outside of fenced blocks; in tables, an escaped bar is a bar. */
export function codeSpans(text: string): string[] {
  return [...withoutFences(text).matchAll(/(?<!`)`([^`\n]+)`(?!`)/g)]
    .map(([, span]) => span!.replaceAll("\\|", "|"));
}

/** Targets of links and images, outside of code. */
export function linkTargets(text: string): string[] {
  const prose = withoutFences(text).replace(/`[^`\n]+`/g, "");
  return [...prose.matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)/g)].map(([, target]) => target!);
}

/** The anchors of a document's headings, as GitHub makes them. */
export function anchors(text: string): Set<string> {
  const found = new Set<string>();
  for (const [, heading] of withoutFences(text).matchAll(/^#{1,6} (.+)$/gm)) {
    const base = heading!.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").trim().toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-");
    let anchor = base;
    for (let copy = 1; found.has(anchor); copy++) anchor = `${base}-${copy}`;
    found.add(anchor);
  }
  return found;
}

function withoutFences(text: string): string {
  return text.replace(/^( *)```[^\n]*\n[^]*?^\1```$/gm, "");
}

/**
 * What is wrong with a document's relative links.
 * @returns one text a fault
 */
export function brokenLinks(file: string, text = readDocument(file)): string[] {
  const faults: string[] = [];
  for (const target of linkTargets(text)) {
    if (/^[a-z]+:/i.test(target)) continue;
    const [path, anchor] = target.split("#") as [string, string?];
    const at = path === "" ? file : join(dirname(file), path);
    let linked: string | null = null;
    try {
      if (Deno.statSync(join(REPOSITORY, at)).isFile) linked = at;
    } catch {
      faults.push(`${file}: ${target} leads nowhere`);
      continue;
    }
    if (anchor === undefined) continue;
    const isThere = linked?.endsWith(".md") && anchors(readDocument(linked)).has(anchor);
    if (!isThere) faults.push(`${file}: ${target} has no such heading`);
  }
  return faults;
}
