/** Which addresses a URL from a table may lead to. */
import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";

/**
 * Addresses that are not on the public Internet: loopback, private, link-local (the metadata
 * services of clouds), shared, benchmarking, multicast, reserved, and IPv6 spellings of IPv4.
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry
 * @see https://www.iana.org/assignments/iana-ipv6-special-registry
 */
const NOT_PUBLIC = {
  // Two lists: one list would find every IPv4 address in its IPv6 spelling.
  ipv4: new BlockList(),
  ipv6: new BlockList(),
};
for (
  const [network, prefix] of [
    ["0.0.0.0", 8],
    ["10.0.0.0", 8],
    ["100.64.0.0", 10],
    ["127.0.0.0", 8],
    ["169.254.0.0", 16],
    ["172.16.0.0", 12],
    ["192.0.0.0", 24],
    ["192.168.0.0", 16],
    ["198.18.0.0", 15],
    ["224.0.0.0", 4],
    ["240.0.0.0", 4],
  ] as const
) NOT_PUBLIC.ipv4.addSubnet(network, prefix, "ipv4");
for (
  const [network, prefix] of [
    ["::", 127],
    ["::ffff:0:0", 96],
    ["64:ff9b::", 96],
    ["64:ff9b:1::", 48],
    ["2001::", 23],
    ["2002::", 16],
    ["fc00::", 7],
    ["fe80::", 10],
    ["fec0::", 10],
    ["ff00::", 8],
  ] as const
) NOT_PUBLIC.ipv6.addSubnet(network, prefix, "ipv6");

/** Whether an IP address is on the public Internet. */
export function isPublicAddress(address: string): boolean {
  const version = isIP(address);
  if (version === 0) return false;
  const family = version === 6 ? "ipv6" : "ipv4";
  return !NOT_PUBLIC[family].check(address, family);
}

/**
 * The first address of a URL's host that is not public; undefined when all are.
 *
 * The name is resolved here and once more by `fetch`: this stops mistakes and plain attempts, not a
 * name server that answers differently a moment later.
 *
 * @throws when the name does not resolve
 */
export async function privateAddressOf(url: string): Promise<string | undefined> {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
  const addresses = isIP(host) ? [host] : (await lookup(host, { all: true })).map((a) => a.address);
  return addresses.find((address) => !isPublicAddress(address));
}
