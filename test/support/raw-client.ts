/** A client of one raw connection that can be half-closed, stopped and reset; bytes as latin1. */
import net from "node:net";

export class RawClient {
  readonly socket: net.Socket;
  received = "";
  /** The other side has sent FIN. */
  ended = false;
  closed = false;
  #changed: () => void = () => {};

  constructor(port: number) {
    this.socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    this.socket.setEncoding("latin1");
    this.socket.on("data", (data) => {
      this.received += String(data);
      this.#changed();
    });
    this.socket.on("end", () => {
      this.ended = true;
      this.#changed();
    });
    this.socket.on("error", () => this.socket.destroy());
    this.socket.on("close", () => {
      this.closed = true;
      this.#changed();
    });
  }

  send(text: string): this {
    this.socket.write(Buffer.from(text, "latin1"));
    return this;
  }

  /** FIN; goes on reading. */
  end(): this {
    this.socket.end();
    return this;
  }

  /** Waits until `done` holds; fails with what has come when it does not in time. */
  async until(done: (client: RawClient) => boolean, timeoutMs = 20_000): Promise<this> {
    const limit = Date.now() + timeoutMs;
    while (!done(this)) {
      if (Date.now() > limit) {
        const tail = this.received.slice(-300);
        throw new Error(
          `waited ${timeoutMs} ms; ended ${this.ended}, ${this.received.length} bytes, last ${JSON.stringify(tail)}`,
        );
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 20);
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this;
  }

  /** Waits for the other side's FIN, or for the connection to break; answers all that was received. */
  async untilEnd(timeoutMs = 20_000): Promise<string> {
    await this.until((client) => client.ended || client.closed, timeoutMs);
    return this.received;
  }
}
