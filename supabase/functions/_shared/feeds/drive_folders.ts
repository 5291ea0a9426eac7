/** Where files lie: the names of the folders above them. */
import { type Call, CallError } from "./call.ts";
import type { FeedAccount } from "./types.ts";

/** What is known of a file or folder. */
export interface DriveFolder {
  id: string;
  name: string;
  /** Absent for the root of a drive, and for what was shared from elsewhere. */
  parents?: string[];
}

interface Entry {
  folder: DriveFolder | undefined;
  until: number;
}

const KEPT_MS = 5 * 60_000;
const MAX_FOLDERS = 5_000;
/** Deeper than Drive allows: a chain that is longer is a circle. */
const MAX_DEPTH = 110;

const accounts = new Map<string, Map<string, Entry>>();

/** The folders of one account, remembered for a few minutes. */
export class DriveFolders {
  private constructor(readonly known: Map<string, Entry>, readonly call: Call) {}

  static of({ integration, connection_id }: FeedAccount, call: Call): DriveFolders {
    const key = `${integration.id}/${connection_id}`;
    let known = accounts.get(key);
    if (!known || known.size > MAX_FOLDERS) accounts.set(key, known = new Map());
    return new DriveFolders(known, call);
  }

  /** Takes over what a change says of a folder; undefined: that it is gone. */
  note(id: string, folder: DriveFolder | undefined): void {
    if (folder) this.known.set(id, { folder, until: Date.now() + KEPT_MS });
    else this.known.delete(id);
  }

  /** Names below the root of its drive, joined by `/`; empty at the root. */
  async pathOf({ parents }: DriveFolder): Promise<string> {
    const names: string[] = [];
    let id = parents?.[0];
    while (id !== undefined && names.length < MAX_DEPTH) {
      const folder = await this.#get(id);
      // The root has a name, too, but no parent; what may not be seen has neither.
      if (!folder?.parents?.length) break;
      // A slash in a name is no folder.
      names.unshift(folder.name.replaceAll("/", "_"));
      id = folder.parents[0];
    }
    return names.join("/");
  }

  async #get(id: string): Promise<DriveFolder | undefined> {
    const kept = this.known.get(id);
    if (kept && kept.until > Date.now()) return kept.folder;
    let folder: DriveFolder | undefined;
    try {
      const parameters = { fileId: id, fields: "id,name,parents", supportsAllDrives: true };
      folder = (await this.call<DriveFolder>("files.get", parameters)).result;
    } catch (error) {
      const isHidden = error instanceof CallError && [403, 404].includes(error.status ?? 0) &&
        error.code === "provider_error";
      if (!isHidden) throw error;
    }
    this.known.set(id, { folder, until: Date.now() + KEPT_MS });
    return folder;
  }
}
