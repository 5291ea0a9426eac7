import assert from "node:assert/strict";
import { type TransferFacts, verifyTransfer } from "./verify.ts";

const A = "a".repeat(64);
const B = "b".repeat(64);
const M = "c".repeat(32);
const N = "d".repeat(32);

function verdict(facts: {
  source?: Partial<TransferFacts["source"]>;
  transferred?: Partial<TransferFacts["transferred"]>;
  stored?: Partial<NonNullable<TransferFacts["stored"]>> | null;
}) {
  return verifyTransfer({
    source: { size_bytes: 10, sha256: A, ...facts.source },
    transferred: { size_bytes: null, sha256: null, md5: null, ...facts.transferred },
    stored: facts.stored === null
      ? null
      : { size_bytes: 10, sha256: null, md5: null, ...facts.stored },
  });
}
const code = (facts: Parameters<typeof verdict>[0]) => {
  const result = verdict(facts);
  return result.ok ? result.checksum : result.code;
};

Deno.test("the destination's own sha256 equal to the source's digest proves the copy", () => {
  assert.deepEqual(verdict({ stored: { sha256: A } }), {
    ok: true,
    size_bytes: 10,
    checksum: `sha256:${A}`,
  });
});

Deno.test("a missing object, another size and another checksum are told apart", () => {
  assert.equal(code({ stored: null }), "destination_missing");
  assert.equal(code({ stored: { size_bytes: 9, sha256: A } }), "size_mismatch");
  assert.equal(code({ stored: { sha256: B } }), "checksum_mismatch");
});

Deno.test("both values are told when they differ", () => {
  const size = verdict({ stored: { size_bytes: 9, sha256: A } });
  assert.ok(!size.ok && size.message.includes("10") && size.message.includes("9"));
  const checksum = verdict({ stored: { sha256: B } });
  assert.ok(!checksum.ok && checksum.message.includes(A) && checksum.message.includes(B));
});

Deno.test("a download that differs from the source's digest fails even if the copy equals it", () => {
  assert.equal(code({ transferred: { sha256: B }, stored: { sha256: B } }), "checksum_mismatch");
});

Deno.test("where the source has no digest, what was transferred must equal what is stored", () => {
  const source = { size_bytes: null, sha256: null };
  assert.equal(code({ source, transferred: { sha256: A }, stored: { sha256: A } }), `sha256:${A}`);
  assert.equal(
    code({ source, transferred: { sha256: A }, stored: { sha256: B } }),
    "checksum_mismatch",
  );
  assert.equal(
    code({ source, transferred: { size_bytes: 11, sha256: A }, stored: { sha256: A } }),
    "size_mismatch",
  );
});

Deno.test("an md5 at the destination needs both hashes of what was transferred", () => {
  assert.equal(code({ transferred: { sha256: A, md5: M }, stored: { md5: M } }), `md5:${M}`);
  assert.equal(
    code({ transferred: { sha256: A, md5: N }, stored: { md5: M } }),
    "checksum_mismatch",
  );
  assert.equal(code({ transferred: { md5: M }, stored: { md5: M } }), "checksum_unavailable");
  assert.equal(
    code({ source: { sha256: null }, transferred: { md5: M }, stored: { md5: M } }),
    `md5:${M}`,
  );
});

Deno.test("nothing to compare with is not a proof", () => {
  assert.equal(code({ stored: {} }), "checksum_unavailable");
  assert.equal(code({ transferred: { sha256: A }, stored: {} }), "checksum_unavailable");
  assert.equal(code({ source: { sha256: null }, stored: { sha256: A } }), "checksum_unavailable");
});
