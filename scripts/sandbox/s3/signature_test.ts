import assert from "node:assert/strict";
import { ContentStore } from "../core/contents.ts";
import { S3Error } from "./errors.ts";
import { receivePayload } from "./payload.ts";
import { type SignedRequest, type Verified, type Verifier, verifySignature } from "./signature.ts";

// The keys, the time and the signatures of Amazon's own examples.
const SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const verifier: Verifier = {
  secrets: new Map([["AKIAIOSFODNN7EXAMPLE", SECRET]]),
  regions: ["us-east-1"],
  now: Date.parse("2013-05-24T00:00:00Z"),
};
const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

function signed(
  request: { method: string; path: string; query?: string },
  headers: Record<string, string>,
  signature: string,
): SignedRequest {
  const all = new Headers({ "x-amz-date": "20130524T000000Z", ...headers });
  const names = [...all.keys()].sort().join(";");
  const credential = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";
  all.set(
    "authorization",
    `AWS4-HMAC-SHA256 Credential=${credential},SignedHeaders=${names},Signature=${signature}`,
  );
  const { method, path, query = "" } = request;
  return { method, rawPath: path, rawQuery: query, headers: all };
}

function code(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert(error instanceof S3Error);
    return error.code;
  }
  return "accepted";
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
const host = "examplebucket.s3.amazonaws.com";
const EXAMPLES = {
  "GET object": signed(
    { method: "GET", path: "/test.txt" },
    { host, range: "bytes=0-9", "x-amz-content-sha256": EMPTY },
    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
  ),
  "PUT object": signed(
    { method: "PUT", path: "/test$file.text" },
    {
      host,
      date: "Fri, 24 May 2013 00:00:00 GMT",
      "x-amz-content-sha256": "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
      "x-amz-storage-class": "REDUCED_REDUNDANCY",
    },
    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
  ),
  "GET bucket lifecycle": signed(
    { method: "GET", path: "/", query: "lifecycle" },
    { host, "x-amz-content-sha256": EMPTY },
    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
  ),
  "list objects": signed(
    { method: "GET", path: "/", query: "max-keys=2&prefix=J" },
    { host, "x-amz-content-sha256": EMPTY },
    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
  ),
};

for (const [name, request] of Object.entries(EXAMPLES)) {
  Deno.test(`Amazon's example ${name} verifies, and no longer once it is altered`, () => {
    assert.equal(verifySignature(request, verifier).presigned, false);
    const altered = { ...request, rawPath: `${request.rawPath}x` };
    assert.equal(code(() => verifySignature(altered, verifier)), "SignatureDoesNotMatch");
  });
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
Deno.test("Amazon's presigned URL verifies within its day and not after", () => {
  const request: SignedRequest = {
    method: "GET",
    rawPath: "/test.txt",
    rawQuery:
      "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
    headers: new Headers({ host }),
  };
  assert.equal(verifySignature(request, verifier).presigned, true);
  const dayLater = { ...verifier, now: verifier.now + 86_401_000 };
  assert.equal(code(() => verifySignature(request, dayLater)), "AccessDenied");
});

Deno.test("a presigned URL may live a week at most", () => {
  const rawQuery =
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=604801&X-Amz-SignedHeaders=host&X-Amz-Signature=00";
  const request = { method: "GET", rawPath: "/a", rawQuery, headers: new Headers({ host }) };
  assert.equal(code(() => verifySignature(request, verifier)), "AuthorizationQueryParametersError");
});

interface ChunkedExample {
  request: SignedRequest;
  /** Chunk signatures in order, the empty last chunk included. */
  chunks: [string, string, string];
  trailer: string;
}

const chunkedHeaders = {
  host: "s3.amazonaws.com",
  "content-encoding": "aws-chunked",
  "x-amz-decoded-content-length": "66560",
  "x-amz-storage-class": "REDUCED_REDUNDANCY",
};

const CHUNKED: Record<string, ChunkedExample> = {
  // https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
  "signed chunks": {
    request: signed(
      { method: "PUT", path: "/examplebucket/chunkObject.txt" },
      {
        ...chunkedHeaders,
        "content-length": "66824",
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
      },
      "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    ),
    chunks: [
      "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
      "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
      "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ],
    trailer: "",
  },
  // https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
  "signed chunks with a signed trailer": {
    request: signed(
      { method: "PUT", path: "/examplebucket/chunkObject.txt" },
      {
        ...chunkedHeaders,
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "x-amz-trailer": "x-amz-checksum-crc32c",
      },
      "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    ),
    chunks: [
      "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
      "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
      "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    ],
    trailer:
      "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n",
  },
};

function wire({ chunks, trailer }: ChunkedExample, content = "a".repeat(66560)): string {
  const chunk = (part: string, signature: string) =>
    `${part.length.toString(16)};chunk-signature=${signature}\r\n${part}`;
  return `${chunk(content.slice(0, 65536), chunks[0])}\r\n${
    chunk(content.slice(65536), chunks[1])
  }\r\n${chunk("", chunks[2])}${trailer}\r\n`;
}

function receive(request: SignedRequest, verified: Verified, body: string) {
  // Pieces that fall across all boundaries of the format.
  const bytes = new TextEncoder().encode(body);
  const pieces = function* () {
    for (let at = 0; at < bytes.length; at += 1009) yield bytes.slice(at, at + 1009);
  };
  return receivePayload({
    headers: request.headers,
    body: ReadableStream.from(pieces()),
    verified,
    contents: new ContentStore(),
    corrupt: false,
  });
}

for (const [name, example] of Object.entries(CHUNKED)) {
  Deno.test(`Amazon's example of ${name} verifies, and no longer once a byte is altered`, async () => {
    const verified = verifySignature(example.request, verifier);
    const { content } = await receive(example.request, verified, wire(example));
    assert.equal(content.size, 66560);
    const altered = wire(example, `b${"a".repeat(66559)}`);
    await assert.rejects(receive(example.request, verified, altered), {
      code: "SignatureDoesNotMatch",
    });
    const short = wire(example).slice(0, 60_000);
    await assert.rejects(receive(example.request, verified, short), { code: "IncompleteBody" });
  });
}

Deno.test("an altered trailer is refused", async () => {
  const example = CHUNKED["signed chunks with a signed trailer"]!;
  const verified = verifySignature(example.request, verifier);
  const altered = wire(example).replace("sOO8/Q==", "sOO8/A==");
  await assert.rejects(receive(example.request, verified, altered), {
    code: "SignatureDoesNotMatch",
  });
});

Deno.test("a content that is not as long as announced is refused", async () => {
  const example = CHUNKED["signed chunks"]!;
  const verified = verifySignature(example.request, verifier);
  example.request.headers.set("x-amz-decoded-content-length", "66561");
  await assert.rejects(receive(example.request, verified, wire(example)), {
    code: "IncompleteBody",
  });
});
