/**
 * Where one stack lives: its folders, ports and URLs, all derived from a home and a base port.
 * @module
 */
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The root of the checkout. */
export const REPOSITORY: string = fileURLToPath(new URL("../../", import.meta.url)).replace(
  /[\\/]$/,
  "",
);

/**
 * Port of the gateway when neither an option nor MARKETPLACE_PORT says otherwise. Below the ports
 * that Linux (from 32768) and macOS (from 49152) give to outgoing connections.
 */
const DEFAULT_PORT = 24960;

/** What stands on which port, as an offset from the base port. */
const PORT_OFFSETS = {
  gateway: 0,
  postgres: 1,
  sandbox: 2,
  sandboxS3: 3,
  n8n: 4,
  n8nBroker: 5,
} as const;

/** A part of the stack that has a port of its own. */
export type PortName = keyof typeof PORT_OFFSETS;

/** Folders, ports and files of one stack. */
export interface Layout {
  /** State of this stack; may be deleted when it does not run. */
  home: string;
  /** Downloads that several homes share. */
  tools: string;
  ports: Record<PortName, number>;
  envFile: string;
  lockFile: string;
  logs: string;
}

/**
 * Derives a stack's layout from options, else from MARKETPLACE_HOME, MARKETPLACE_PORT and
 * MARKETPLACE_TOOLS, else from the defaults.
 * @throws {Error} when the base port is not a number from 1024 to 65529
 */
export function resolveLayout(options: { home?: string; port?: number } = {}): Layout {
  const home = resolve(
    options.home ?? (Deno.env.get("MARKETPLACE_HOME") || join(REPOSITORY, ".local")),
  );
  const given = options.port ?? (Deno.env.get("MARKETPLACE_PORT") || DEFAULT_PORT);
  const base = Number(given);
  if (!Number.isInteger(base) || base < 1024 || base > 65529) {
    throw new Error(`MARKETPLACE_PORT is "${given}": give a whole number from 1024 to 65529.`);
  }
  const ports = Object.fromEntries(
    Object.entries(PORT_OFFSETS).map(([name, offset]) => [name, base + offset]),
  ) as Record<PortName, number>;
  return {
    home,
    tools: resolve(Deno.env.get("MARKETPLACE_TOOLS") || join(REPOSITORY, ".local", "tools")),
    ports,
    envFile: join(home, "env"),
    lockFile: join(home, "supervisor.lock"),
    logs: join(home, "logs"),
  };
}
