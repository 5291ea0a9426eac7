import assert from "node:assert/strict";
import { isPublicAddress, privateAddressOf } from "./network.ts";

Deno.test("addresses of the public Internet are told from all others", () => {
  for (const address of ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111"]) {
    assert.ok(isPublicAddress(address), address);
  }
  for (
    const address of [
      "127.0.0.1",
      "10.1.2.3",
      "172.16.0.1",
      "192.168.1.1",
      "169.254.169.254",
      "100.64.0.1",
      "0.0.0.0",
      "255.255.255.255",
      "::1",
      "::",
      "::ffff:127.0.0.1",
      "::ffff:8.8.8.8",
      "64:ff9b::7f00:1",
      "fd00::1",
      "fe80::1",
      "not an address",
    ]
  ) assert.ok(!isPublicAddress(address), address);
});

Deno.test("a host is judged by what it resolves to, however it is spelled", async () => {
  for (
    const url of ["http://localhost/", "http://[::1]:80/", "http://127.1/", "http://0x7f000001/"]
  ) {
    assert.ok(await privateAddressOf(url), url);
  }
  assert.equal(await privateAddressOf("https://8.8.8.8/"), undefined);
});
