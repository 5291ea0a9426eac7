/** Real n8n for the local platform: installed on first need, started, filled, and ended. */
export * from "./import.ts";
export * from "./install.ts";
export * from "./start.ts";
