/** Connections that have had one answer and then say nothing. */
import { connect, type Socket } from "node:net";

/** Opened and asked at the same time; well below any listen backlog. */
const AT_ONCE = 200;

export class IdleConnections {
  readonly #sockets = new Set<Socket>();

  /** Opens `count` more, each with one request answered. */
  async open(port: number, count: number): Promise<void> {
    for (let left = count; left > 0; left -= AT_ONCE) {
      await Promise.all(Array.from({ length: Math.min(left, AT_ONCE) }, () => this.#openOne(port)));
    }
  }

  /** Those that neither side has closed. */
  get alive(): number {
    return this.#sockets.size;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  #openOne(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1");
      this.#sockets.add(socket);
      socket.once("error", reject);
      socket.once("close", () => this.#sockets.delete(socket));
      // 100 bytes of body come in the same segment as the head, or right behind it.
      socket.once("data", () => resolve());
      socket.resume();
      socket.write("GET / HTTP/1.1\r\nhost: bench\r\n\r\n");
    });
  }
}
