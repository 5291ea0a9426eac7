import { GoogleError } from "./errors.ts";

/** The latest thing that happened to a file. */
export interface DriveChange {
  /** Where it stands in the log; grows with each change. */
  position: number;
  fileId: string;
  removed: boolean;
  /** Milliseconds since the epoch. */
  time: number;
}

/** Where the log of a Drive begins; real ones have had a life before, too. */
const FIRST_POSITION = 101;

/**
 * Drive's log of changes: each file stands in it once, where it changed last. A page token is the
 * position that the page begins at, and never expires unless a test says so.
 *
 * @see https://developers.google.com/workspace/drive/api/guides/manage-changes
 */
export class DriveChanges {
  #byFile = new Map<string, DriveChange>();
  #next = FIRST_POSITION;
  #oldest = 1;

  /** The token of the position that the next change will have. */
  get startPageToken(): string {
    return String(this.#next);
  }

  record(fileId: string, removed: boolean, time: number): void {
    // Deleted first: a map remembers its keys in the order of insertion.
    this.#byFile.delete(fileId);
    this.#byFile.set(fileId, { position: this.#next++, fileId, removed, time });
  }

  /**
   * A page of the log, oldest change first.
   *
   * @throws GoogleError `invalid` when the token is none or has been expired
   */
  page(
    pageToken: string,
    { size, includeRemoved }: { size: number; includeRemoved: boolean },
  ): { changes: DriveChange[]; nextPageToken?: string; newStartPageToken?: string } {
    const start = /^\d+$/.test(pageToken) ? Number(pageToken) : NaN;
    if (!(start >= this.#oldest && start <= this.#next)) {
      throw new GoogleError("invalid", undefined, {
        location: "pageToken",
        locationType: "parameter",
      });
    }
    const later = [...this.#byFile.values()].filter(({ position, removed }) =>
      position >= start && (includeRemoved || !removed)
    );
    const changes = later.slice(0, size);
    return changes.length < later.length
      ? { changes, nextPageToken: String(later[size]!.position) }
      : { changes, newStartPageToken: this.startPageToken };
  }

  /** Lets every token that was given until now be refused. */
  expireTokens(): void {
    this.#oldest = ++this.#next;
  }

  clear(): void {
    this.#byFile.clear();
    this.#next = FIRST_POSITION;
    this.#oldest = 1;
  }
}
