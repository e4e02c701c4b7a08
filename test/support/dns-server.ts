/** A DNS server over TCP that answers as it is told, and the messages it answers with. */
import net from "node:net";
import { parseIp } from "#core/address.ts";

const TYPES = { A: 1, CNAME: 5, AAAA: 28 } as const;
type Type = keyof typeof TYPES;

export function record(owner: string, type: Type, ttlSeconds: number, value: string): Buffer {
  const data = type === "CNAME" ? nameBytes(value) : Buffer.from(parseIp(value)).subarray(type === "A" ? 12 : 0);
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(TYPES[type], 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(ttlSeconds, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([nameBytes(owner), fixed, data]);
}

/** The query's header and question, with these records behind them. */
export function answerTo(query: Uint8Array, records: readonly Buffer[], rcode = 0): Uint8Array {
  const message = Buffer.concat([query, ...records]);
  message[2] = 0x81;
  message[3] = 0x80 | rcode;
  message.writeUInt16BE(records.length, 6);
  return new Uint8Array(message);
}

function nameBytes(name: string): Buffer {
  const labels = name.split(".").map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  return Buffer.concat([...labels, Buffer.from([0])]);
}

export interface DnsServer {
  readonly address: string;
  /** Queries so far. */
  queries(): number;
  close(): Promise<void>;
}

/** `addresses`: of a lower-case name, IPv4; null: there is no such name. Asked for each query of type A. */
export function startDns(addresses: (name: string) => readonly string[] | null, ttlSeconds = 1): Promise<DnsServer> {
  let count = 0;
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    let received = Buffer.alloc(0);
    socket.on("data", (data: Buffer) => {
      received = Buffer.concat([received, data]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const query = received.subarray(2, 2 + received.readUInt16BE(0));
        received = received.subarray(2 + query.length);
        count++;
        const answer = reply(query, addresses, ttlSeconds);
        const length = Buffer.alloc(2);
        length.writeUInt16BE(answer.length);
        socket.write(Buffer.concat([length, answer]));
      }
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      resolve({
        address: `127.0.0.1:${(server.address() as net.AddressInfo).port}`,
        queries: () => count,
        close: () =>
          new Promise((closed) => {
            for (const socket of sockets) socket.destroy();
            server.close(() => closed());
          }),
      });
    });
  });
}

function reply(query: Buffer, addresses: (name: string) => readonly string[] | null, ttlSeconds: number): Uint8Array {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  const name = labels.join(".").toLowerCase();
  const known = addresses(name);
  if (known === null) return answerTo(query, [], 3);
  if (query.readUInt16BE(at + 1) !== TYPES.A) return answerTo(query, []);
  return answerTo(
    query,
    known.map((ip) => record(name, "A", ttlSeconds, ip)),
  );
}
