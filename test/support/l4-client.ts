/**
 * Clients of a balanced service, as a process of its own: commands come in as lines of JSON, answers go out likewise, in any
 * order. `key` names a connection or a datagram socket that stays.
 */
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

export interface L4Command {
  readonly id: number;
  readonly op: "open" | "say" | "bulk" | "datagram" | "trips" | "refused" | "close";
  readonly key: string;
  readonly host?: string;
  readonly port?: number;
  readonly text?: string;
  readonly bytes?: number;
  /** Of round trips. */
  readonly count?: number;
  /** Of the socket itself; 0: any. */
  readonly localPort?: number;
}

export interface L4Answer {
  readonly id: number;
  /** What came back: the endpoint's label, the echo. `error: …` when something else did; `timeout`. */
  readonly text: string;
}

const WAIT_MS = 1500;
const streams = new Map<string, net.Socket>();
const sockets = new Map<string, dgram.Socket>();

function within(work: Promise<string>, ms = WAIT_MS): Promise<string> {
  const late = sleep(ms, "timeout", { ref: false });
  return Promise.race([work.catch((error: unknown) => `error: ${(error as NodeJS.ErrnoException).code}`), late]);
}

/** The next line of a stream. */
async function readLine(socket: net.Socket): Promise<string> {
  for (let text = ""; ;) {
    const [part] = (await once(socket, "data")) as [Buffer];
    text += part.toString("latin1");
    if (part.includes(10)) return text.trim();
  }
}

function readBytes(socket: net.Socket, bytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let got = 0;
    const take = (part: Buffer): void => {
      parts.push(part);
      got += part.length;
      if (got < bytes) return;
      socket.off("data", take);
      resolve(Buffer.concat(parts));
    };
    socket.on("data", take);
    socket.once("error", reject);
  });
}

async function open({ key, host = "", port = 0, localPort = 0 }: L4Command): Promise<string> {
  const socket = net.connect({ host, port, localPort });
  // Errors are told to whoever waits; between two commands nobody does.
  socket.on("error", () => undefined);
  streams.set(key, socket);
  return readLine(socket);
}

async function say({ key, text = "" }: L4Command): Promise<string> {
  const socket = streams.get(key);
  if (socket === undefined || socket.destroyed) return "error: closed";
  socket.write(`${text}\n`);
  return readLine(socket);
}

/** Bytes that differ from one another, there and back. */
async function bulk({ key, bytes = 0 }: L4Command): Promise<string> {
  const socket = streams.get(key);
  if (socket === undefined) return "error: closed";
  const sent = Buffer.alloc(bytes, "the quick brown fox jumps over the lazy dog ");
  socket.write(sent);
  return (await readBytes(socket, bytes)).equals(sent) ? "same" : "different";
}

async function datagram({ key, host = "", port = 0, text = "", localPort = 0 }: L4Command): Promise<string> {
  let socket = sockets.get(key);
  if (socket === undefined) {
    socket = dgram.createSocket(host.includes(":") ? "udp6" : "udp4");
    socket.on("error", () => undefined);
    socket.bind(localPort);
    await once(socket, "listening");
    socket.connect(port, host);
    await once(socket, "connect");
    sockets.set(key, socket);
  }
  socket.send(text);
  const [message] = (await once(socket, "message")) as [Buffer];
  return message.toString("latin1");
}

/** Datagrams there and back, one after the other: microseconds each. */
async function trips(command: L4Command): Promise<string> {
  const { count = 1 } = command;
  await datagram(command);
  const start = performance.now();
  for (let i = 0; i < count; i++) await datagram(command);
  return `${((performance.now() - start) * 1000) / count}`;
}

/** The error that a datagram is answered with. */
async function refused({ host = "", port = 0, text = "" }: L4Command): Promise<string> {
  const socket = dgram.createSocket(host.includes(":") ? "udp6" : "udp4");
  try {
    socket.connect(port, host);
    await once(socket, "connect");
    socket.send(text);
    await once(socket, "message");
    return "no error";
  } finally {
    socket.on("error", () => undefined);
    socket.close();
  }
}

function close({ key }: L4Command): string {
  streams.get(key)?.destroy();
  sockets.get(key)?.close();
  streams.delete(key);
  sockets.delete(key);
  return "closed";
}

function work(command: L4Command): Promise<string> {
  switch (command.op) {
    case "open":
      return within(open(command));
    case "say":
      return within(say(command));
    case "bulk":
      return within(bulk(command), 10_000);
    case "datagram":
      return within(datagram(command));
    case "trips":
      return within(trips(command), 10_000);
    case "refused":
      return within(refused(command));
    case "close":
      return Promise.resolve(close(command));
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as L4Command;
  void work(command).then((text) => process.stdout.write(`${JSON.stringify({ id: command.id, text })}\n`));
}
process.exit(0);
