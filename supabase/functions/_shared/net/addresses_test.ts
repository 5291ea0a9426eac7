import assert from "node:assert/strict";
import { isPublicAddress, privateAddressOf } from "./addresses.ts";
import { PRIVATE_URLS } from "./testing.ts";

Deno.test("addresses of the public Internet are told from all others", () => {
  for (
    const address of [
      "8.8.8.8",
      "1.1.1.1",
      "172.15.255.255",
      "172.32.0.1",
      "100.63.255.255",
      "100.128.0.1",
      "169.253.255.255",
      "192.167.255.255",
      "223.255.255.255",
      "2606:4700::1111",
      "2a00:1450:4001:80b::200e",
    ]
  ) assert.ok(isPublicAddress(address), address);
  for (
    const address of [
      "127.0.0.1",
      "10.1.2.3",
      "172.16.0.1",
      "172.31.255.255",
      "192.168.1.1",
      "169.254.169.254",
      "100.64.0.1",
      "0.0.0.0",
      "255.255.255.255",
      "168.63.129.16",
      "::1",
      "::",
      "::ffff:127.0.0.1",
      "::ffff:8.8.8.8",
      "::7f00:1",
      "64:ff9b::7f00:1",
      "fd00::1",
      "fe80::1",
      "ff02::1",
      "2001:db8::1",
      "2002:7f00:1::",
      "not an address",
      "",
    ]
  ) assert.ok(!isPublicAddress(address), address);
});

Deno.test("a private address is found in whatever spelling", async () => {
  assert.ok(PRIVATE_URLS.length >= 60, `${PRIVATE_URLS.length} spellings`);
  for (const url of PRIVATE_URLS) assert.ok(await privateAddressOf(url), url);
  assert.equal(await privateAddressOf("https://8.8.8.8/"), undefined);
  assert.equal(await privateAddressOf("https://[2606:4700::1111]/"), undefined);
});
