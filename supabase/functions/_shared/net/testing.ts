/** For tests of what must not be reached. */
import type { lookup, LookupAddress } from "node:dns";

/** A name server that gives one answer after the other. */
export function answering(...answers: string[][]): { resolve: typeof lookup; asked: number } {
  const server = {
    asked: 0,
    resolve: ((_name: string, _options: unknown, done: (...found: unknown[]) => void) => {
      const found = answers[Math.min(server.asked++, answers.length - 1)]!;
      const addresses: LookupAddress[] = found.map((address) => ({ address, family: 4 }));
      setTimeout(() => done(null, addresses));
    }) as unknown as typeof lookup,
  };
  return server;
}

/** Addresses inside, as somebody might spell them who wants to get there. */
export const PRIVATE_URLS: readonly string[] = [
  // loopback
  "http://127.0.0.1/",
  "http://127.0.0.1:8080/",
  "https://127.0.0.1/",
  "http://127.1/",
  "http://127.0.1/",
  "http://127.255.255.254/",
  "http://2130706433/",
  "http://017700000001/",
  "http://0177.0.0.1/",
  "http://0177.0.0.01/",
  "http://0x7f000001/",
  "http://0x7f.0x0.0x0.0x1/",
  "http://0x7F.1/",
  "http://00000177.0000000.0000000.00000001/",
  "http://127.0.0.1./",
  "http://127.0.0.1%2e/",
  "http://%31%32%37.0.0.1/",
  "http://①②⑦.⓪.⓪.①/",
  "http://127。0。0。1/",
  "http://127.0.0.1/",
  "http://localhost/",
  "http://LOCALHOST/",
  "http://localhost./",
  "http://LocalHost:22/",
  "http://app.localhost/",
  "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
  "http://localhost.localdomain/",
  "http:/\\127.0.0.1/",
  "http://127.0.0.1\\@example.com/",
  "http:127.0.0.1/",
  // this host
  "http://0/",
  "http://0.0.0.0/",
  "http://0x0/",
  "http://0.1.2.3/",
  // private networks
  "http://10.0.0.1/",
  "http://10.1/",
  "http://167772161/",
  "http://0xa000001/",
  "http://012.0.0.1/",
  "http://172.16.0.1/",
  "http://172.31.255.255/",
  "http://0xac.0x10.0.1/",
  "http://192.168.0.1/",
  "http://192.168.257/",
  "http://3232235521/",
  "http://0300.0250.0.1/",
  // metadata services
  "http://169.254.169.254/latest/meta-data/",
  "http://169.254.43518/",
  "http://2852039166/",
  "http://0xa9fea9fe/",
  "http://0251.0376.0251.0376/",
  "http://metadata.google.internal/computeMetadata/v1/",
  "http://100.100.100.200/latest/meta-data/",
  "http://168.63.129.16/",
  "http://192.0.0.192/",
  "http://[fd00:ec2::254]/latest/meta-data/",
  // shared, benchmarking, documentation, multicast, reserved
  "http://100.64.0.1/",
  "http://198.18.0.1/",
  "http://192.0.2.1/",
  "http://198.51.100.1/",
  "http://203.0.113.1/",
  "http://224.0.0.1/",
  "http://240.0.0.1/",
  "http://255.255.255.255/",
  // IPv6
  "http://[::1]/",
  "http://[0:0:0:0:0:0:0:1]/",
  "http://[0000:0000:0000:0000:0000:0000:0000:0001]/",
  "http://[::]/",
  "http://[::ffff:127.0.0.1]/",
  "http://[::ffff:7f00:1]/",
  "http://[::FFFF:10.0.0.1]/",
  "http://[::ffff:a9fe:a9fe]/",
  "http://[::127.0.0.1]/",
  "http://[64:ff9b::127.0.0.1]/",
  "http://[64:ff9b:1::a00:1]/",
  "http://[2002:7f00:1::]/",
  "http://[2002:a9fe:a9fe::]/",
  "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
  "http://[2001:db8::1]/",
  "http://[fc00::1]/",
  "http://[fd12:3456:789a::1]/",
  "http://[fe80::1]/",
  "http://[fec0::1]/",
  "http://[ff02::1]/",
  "http://[100::1]/",
  // names that only a network inside knows
  "http://db.internal/",
  "http://printer.local/",
  "http://router.lan/",
  "http://nas.home.arpa/",
];
