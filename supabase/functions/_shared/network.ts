/** Moved to net/addresses.ts. */
export * from "./net/addresses.ts";
