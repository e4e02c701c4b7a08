/** Raw HTTP/1 ends for tests: a client that writes bytes and reads what comes, an upstream that answers as it is told. */
import net from "node:net";

/** Everything the server sends until it closes, or until `until` holds; bytes as latin1. Fails after `timeoutMs`. */
export function talk(
  port: number,
  send: string | readonly string[] | Buffer,
  until: (received: string) => boolean = () => false,
  timeoutMs = 5000,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = "";
    const socket = net.connect(port, "127.0.0.1");
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no end after ${timeoutMs} ms; received ${JSON.stringify(received)}`));
    }, timeoutMs);
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(received);
    };
    socket.setEncoding("latin1");
    socket.on("data", (data) => {
      received += String(data);
      if (until(received)) finish();
    });
    socket.on("end", finish);
    socket.on("error", finish);
    const parts = Array.isArray(send) ? (send as readonly string[]) : [send as string | Buffer];
    void (async () => {
      for (const part of parts) {
        socket.write(typeof part === "string" ? Buffer.from(part, "latin1") : part);
        if (parts.length > 1) await new Promise((next) => setTimeout(next, 10));
      }
    })();
  });
}

export interface RawUpstream {
  readonly port: number;
  readonly address: string;
  /** Bytes received, a string a connection, in order of arrival. */
  readonly received: string[];
  readonly sockets: Set<net.Socket>;
  connections(): number;
  close(): Promise<void>;
}

/** `answer` is called with each chunk and all bytes of that connection so far. */
export function startUpstream(answer: (socket: net.Socket, all: string, index: number) => void): Promise<RawUpstream> {
  const received: string[] = [];
  const sockets = new Set<net.Socket>();
  let count = 0;
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    const index = count++;
    received.push("");
    sockets.add(socket);
    socket.setEncoding("latin1");
    socket.on("data", (data) => {
      received[index] += String(data);
      answer(socket, received[index] as string, index);
    });
    socket.on("end", () => socket.end());
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo;
      resolve({
        port,
        address: `127.0.0.1:${port}`,
        received,
        sockets,
        connections: () => count,
        close: () =>
          new Promise((closed) => {
            for (const socket of sockets) socket.destroy();
            server.close(() => closed());
          }),
      });
    });
  });
}

/** How many requests without a body have arrived. */
export function requests(all: string): number {
  return all.split("\r\n\r\n").length - 1;
}
