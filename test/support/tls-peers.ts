/** TLS clients and servers of Node's for tests of streams: who ends how, and what each has seen of it. */
import { once } from "node:events";
import net from "node:net";
import { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import tls from "node:tls";
import type { Issued } from "./certificates.ts";

/** A connected stream, and what has happened to it: `end`, `close`, and errors by their code. */
export interface Seen<S extends Duplex = Duplex> {
  readonly socket: S;
  readonly events: string[];
  text(): string;
  is(event: string): Promise<void>;
}

export function seen<S extends Duplex>(socket: S): Seen<S> {
  const events: string[] = [];
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  for (const name of ["secureConnect", "end", "close"]) socket.on(name, () => events.push(name));
  socket.on("error", (error: NodeJS.ErrnoException) => events.push(error.code ?? error.message));
  return { socket, events, text: () => text, is: (event) => until(() => events.includes(event), event, events) };
}

/** `context` is told when it never comes: a function is asked then. */
export async function until(met: () => boolean, what: string, context: unknown = ""): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (met()) return;
    await sleep(10);
  }
  const told: unknown = typeof context === "function" ? context() : context;
  throw new Error(`never: ${what} ${JSON.stringify(told)}`);
}

/** The bytes under a TLS connection: who has it may end them where TLS would not, and cut the first that are written into pieces. */
export class Wire extends Duplex {
  readonly raw: net.Socket;
  #cut: ((first: Buffer) => readonly Uint8Array[]) | null;

  constructor(raw: net.Socket, cut: ((first: Buffer) => readonly Uint8Array[]) | null = null) {
    super();
    this.raw = raw;
    this.#cut = cut;
    raw.on("data", (chunk) => this.push(chunk));
    raw.on("end", () => this.push(null));
    raw.on("error", (error) => this.destroy(error));
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const pieces = this.#cut?.(chunk) ?? [chunk];
    this.#cut = null;
    void this.#send(pieces).then(done);
  }

  async #send(pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) {
      this.raw.write(piece);
      if (pieces.length > 1) await sleep(20);
    }
  }

  /** TLS has ended: the connection has not. */
  override _final(done: () => void): void {
    done();
  }
}

/** Things to be closed behind each test. */
export interface Closing {
  push(one: { close(): unknown }): unknown;
}

export function tlsClient(port: number, closing: Closing, options: tls.ConnectionOptions = {}): Seen<tls.TLSSocket> {
  // TLS over a socket is half-open where the socket is.
  const raw = options.socket ?? net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const socket = tls.connect({ rejectUnauthorized: false, ...options, socket: raw });
  closing.push({ close: () => socket.destroy() });
  return seen(socket);
}

/** A client whose connection goes on where its TLS ends. */
export async function wiredClient(
  port: number,
  closing: Closing,
  options: tls.ConnectionOptions = {},
): Promise<{ client: Seen<tls.TLSSocket>; raw: net.Socket }> {
  const raw = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  closing.push({ close: () => raw.destroy() });
  const client = tlsClient(port, closing, { socket: new Wire(raw), ...options });
  await client.is("secureConnect");
  return { client, raw };
}

/** A server's address; each of its connections is shown once its handshake is done. */
export async function tlsServer(
  certificate: Issued,
  closing: Closing,
  on: (socket: tls.TLSSocket) => void,
  options: tls.TlsOptions = {},
): Promise<string> {
  const settings = { cert: certificate.certificate, key: certificate.key, allowHalfOpen: true, ...options };
  const server = tls.createServer(settings, (socket) => {
    socket.on("error", () => {});
    on(socket);
  });
  server.on("tlsClientError", () => {});
  return listening(server, closing);
}

export async function tcpServer(closing: Closing, on: (socket: net.Socket) => void): Promise<string> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    on(socket);
  });
  return listening(server, closing);
}

async function listening(server: net.Server, closing: Closing): Promise<string> {
  const sockets = new Set<net.Socket>();
  server.on("connection", (socket: net.Socket) => sockets.add(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push({
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  });
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}
