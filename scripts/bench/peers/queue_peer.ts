/**
 * What another queue has to do to be compared.
 * @module
 */

/** Another queue in the same database. */
export interface QueuePeer {
  /** Where its jobs stand, to be emptied between rounds. */
  table: string;
  /** Adds jobs: one, or many in one call. */
  enqueue(payloads: object[]): Promise<void>;
  /**
   * Takes jobs and completes them, until nothing is left.
   *
   * @returns milliseconds in all and, where they can be told apart, in taking and completing
   */
  drain(options: { batch: number; workers: number }): Promise<
    { jobs: number; ms: number; claimMs?: number; completeMs?: number }
  >;
  stop(): Promise<void>;
}
