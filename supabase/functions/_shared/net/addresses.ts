/**
 * Which addresses a URL from a table or from a caller may lead to.
 *
 * The URL parser has already made one spelling of many (`127.1`, `0x7f.1`, `①②⑦.⓪.⓪.①`), so what is
 * looked at is what will be connected to.
 */
import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import { AppError } from "../errors.ts";

/**
 * IPv4 addresses that are not on the public Internet: private, loopback, link-local (the metadata
 * services of clouds), shared, documentation, benchmarking, relays, multicast, reserved.
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry
 */
const NOT_PUBLIC_IPV4 = blockList("ipv4", [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
  // Azure's host agent: a public number that answers inside only.
  ["168.63.129.16", 32],
]);

/** All that is handed out of IPv6; what lies outside is mapped, translated, local or reserved. */
const GLOBAL_IPV6 = blockList("ipv6", [["2000::", 3]]);
/**
 * And what inside of it leads elsewhere: Teredo and other protocols, documentation, 6to4.
 * @see https://www.iana.org/assignments/iana-ipv6-special-registry
 */
const NOT_PUBLIC_IPV6 = blockList("ipv6", [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
]);

/** Names that no public DNS answers for, whatever a resolver on the way may say. */
const LOCAL_NAME = /(^|\.)(localhost|local|internal|intranet|lan|home\.arpa|localdomain)$/;

/** Whether an IP address is on the public Internet. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !NOT_PUBLIC_IPV4.check(address, "ipv4");
    case 6:
      return GLOBAL_IPV6.check(address, "ipv6") && !NOT_PUBLIC_IPV6.check(address, "ipv6");
    default:
      return false;
  }
}

/**
 * The first address of a URL's host that is not public, or its name when that is a local one;
 * undefined when all are public.
 *
 * @throws when the name does not resolve
 */
export async function privateAddressOf(url: string | URL): Promise<string | undefined> {
  const host = hostOf(new URL(url));
  if (isIP(host)) return isPublicAddress(host) ? undefined : host;
  if (LOCAL_NAME.test(host)) return host;
  const found = await lookup(host, { all: true });
  return found.map(({ address }) => address).find((address) => !isPublicAddress(address));
}

/**
 * @throws AppError `address_refused` (422) when the host is a private address, or a name that leads
 *   to one. A name that does not resolve is the call's to report.
 */
export async function refusePrivate(url: string): Promise<void> {
  const found = await privateAddressOf(url).catch(() => undefined);
  if (found !== undefined) throw addressRefused(new URL(url));
}

/**
 * The refusal of a URL. It says nothing of what was found: that would be a map of the network for
 * whoever asks.
 */
export function addressRefused(url: URL): AppError {
  return new AppError(
    "address_refused",
    422,
    `${url.hostname} is not on the public Internet, and the integration does not allow private ` +
      "networks.",
    { retryable: false },
  );
}

/** A URL's host without the brackets of IPv6 and the root's dot. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "").toLowerCase();
}

/** Whether a name is never looked up. */
export function isLocalName(host: string): boolean {
  return LOCAL_NAME.test(host);
}

function blockList(
  family: "ipv4" | "ipv6",
  networks: readonly (readonly [string, number])[],
): BlockList {
  const list = new BlockList();
  for (const [network, prefix] of networks) list.addSubnet(network, prefix, family);
  return list;
}
