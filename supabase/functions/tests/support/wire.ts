/** A wire to Postgres that counts what a client asks. */

/** What went through, see {@link openWire}. */
export interface WireCounts {
  /** Statements executed. */
  statements: number;
  /** Times the client waited for an answer. */
  roundTrips: number;
}

/** An open wire. */
export interface Wire {
  /** The database's URL by way of the wire. */
  url: string;
  /** What went through since the last call. */
  take(): WireCounts;
  close(): void;
}

/**
 * Opens a loopback port in front of a database. Counts the frontend's messages: Execute and Query are
 * statements; Sync, Flush and Query are what an answer is waited for.
 * @see https://www.postgresql.org/docs/17/protocol-message-formats.html
 */
export function openWire(databaseUrl: string): Wire {
  const target = new URL(databaseUrl);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const sockets = new Set<Deno.Conn>();
  let counts: WireCounts = { statements: 0, roundTrips: 0 };

  const count = (type: string) => {
    if (type === "E" || type === "Q") counts.statements++;
    if (type === "S" || type === "H" || type === "Q") counts.roundTrips++;
  };
  const connect = async (client: Deno.Conn) => {
    const server = await Deno.connect({ hostname: target.hostname, port: Number(target.port) });
    sockets.add(client).add(server);
    const messages = new TransformStream<Uint8Array, Uint8Array>({ transform: reader(count) });
    await Promise.allSettled([
      client.readable.pipeThrough(messages).pipeTo(server.writable),
      server.readable.pipeTo(client.writable),
    ]);
  };
  void (async () => {
    for await (const client of listener) void connect(client);
  })().catch(() => {}); // closed

  const url = new URL(databaseUrl);
  url.host = `127.0.0.1:${(listener.addr as Deno.NetAddr).port}`;
  return {
    url: url.href,
    take() {
      const taken = counts;
      counts = { statements: 0, roundTrips: 0 };
      return taken;
    },
    close() {
      listener.close();
      for (const socket of sockets) {
        try {
          socket.close();
        } catch {
          // Closed by its pipe.
        }
      }
    },
  };
}

/** Passes bytes on, and names the type of every message in them. */
function reader(onMessage: (type: string) => void) {
  // Type and length; the very first message has no type.
  let head: number[] = [0];
  let rest = 0;
  return (
    chunk: Uint8Array,
    controller: TransformStreamDefaultController<Uint8Array>,
  ) => {
    for (let i = 0; i < chunk.length;) {
      if (rest > 0) {
        const skipped = Math.min(rest, chunk.length - i);
        rest -= skipped;
        i += skipped;
        continue;
      }
      head.push(chunk[i++]!);
      if (head.length < 5) continue;
      const [type, a, b, c, d] = head as [number, number, number, number, number];
      rest = ((a << 24) | (b << 16) | (c << 8) | d) - 4;
      if (type !== 0) onMessage(String.fromCharCode(type));
      head = [];
    }
    controller.enqueue(chunk);
  };
}
