/** An upstream that does what each request's target says, however bad: `/<plan>/<tag>/<bytes>`. */
import net from "node:net";
import type { Random } from "#io/fake/random.ts";
import { isTagged, MessageReader, reset, tagged, type Message } from "./reader.ts";

/** What an upstream may do with a request, and how often. The names are those of the cases in `#act`. */
export const PLANS: readonly (readonly [string, number])[] = [
  ["length", 30],
  ["chunked", 16],
  ["close", 4],
  ["empty", 6],
  ["informational", 4],
  ["early", 6],
  ["slow", 6],
  ["then-end", 5],
  ["end", 3],
  ["reset", 3],
  ["cut", 4],
  ["cut-reset", 3],
  ["garbage", 2],
  ["extra", 3],
  ["silent", 1],
];

export class ChaosUpstream {
  readonly #random: Random;
  readonly #failed: (why: string) => void;
  readonly #sockets = new Set<net.Socket>();
  readonly #server: net.Server;
  port = 0;

  constructor(random: Random, failed: (why: string) => void) {
    this.#random = random;
    this.#failed = failed;
    this.#server = net.createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket));
  }

  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.listen(0, "127.0.0.1", () => {
        this.port = (this.#server.address() as net.AddressInfo).port;
        resolve();
      });
    });
  }

  stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #serve(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.setEncoding("latin1");
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    let raw = false;
    const reader = new MessageReader(true, () => false, {
      head: (message) => {
        if (message.fields.has("upgrade")) raw = true;
        if (/^\S+ \/early\//.test(message.line)) this.#answer(socket, message);
        else if (message.fields.has("expect")) socket.write("HTTP/1.1 100 Continue\r\n\r\n");
      },
      data: (message, text) => {
        const { tag } = requestOf(message);
        if (!isTagged(tag, message.bytes, text)) this.#failed(`request ${tag}: somebody else's body`);
      },
      end: (message) => {
        if (raw) socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n");
        else if (!/^\S+ \/early\//.test(message.line)) this.#answer(socket, message);
      },
      bad: (why) => this.#failed(`the upstream was sent ${JSON.stringify(why)}`),
    });
    socket.on("data", (data) => {
      if (raw) socket.write(String(data), "latin1");
      else reader.push(String(data));
      if (this.#random.chance(0.05)) this.#stall(socket);
    });
    socket.on("end", () => socket.end());
  }

  #stall(socket: net.Socket): void {
    socket.pause();
    setTimeout(() => socket.resume(), this.#random.below(40));
  }

  #answer(socket: net.Socket, message: Message): void {
    const { method, plan, tag, bytes } = requestOf(message);
    const body = method === "HEAD" ? "" : tagged(tag, bytes);
    const length = `HTTP/1.1 200 OK\r\nx-tag: ${tag}\r\ncontent-length: ${bytes}\r\n\r\n`;
    switch (plan) {
      case "chunked":
        socket.write(`HTTP/1.1 200 OK\r\nx-tag: ${tag}\r\ntransfer-encoding: chunked\r\n\r\n`);
        if (method !== "HEAD") this.#chunks(socket, body);
        return;
      case "close":
        socket.end(`HTTP/1.1 200 OK\r\nx-tag: ${tag}\r\n\r\n${body}`, "latin1");
        return;
      case "empty":
        socket.write(`HTTP/1.1 204 No Content\r\nx-tag: ${tag}\r\n\r\n`);
        return;
      case "informational":
        socket.write(`HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n${length}${body}`);
        return;
      case "slow":
        this.#pieces(socket, length + body);
        return;
      case "then-end":
        socket.end(length + body);
        return;
      case "extra":
        socket.write(`${length}${body}HTTP/1.1 200 OK\r\nx-tag: nobody\r\ncontent-length: 0\r\n\r\n`);
        return;
      default:
        this.#misbehave(socket, plan, length + body);
    }
  }

  #misbehave(socket: net.Socket, plan: string, answer: string): void {
    const part = answer.slice(0, this.#random.below(answer.length));
    switch (plan) {
      case "end":
        socket.end();
        return;
      case "reset":
        reset(socket);
        return;
      case "cut":
        socket.end(part);
        return;
      case "cut-reset":
        socket.write(part, () => reset(socket));
        return;
      case "garbage":
        socket.write("SSH-2.0-OpenSSH_9.2\r\n\r\n");
        return;
      case "silent":
        return;
      default:
        socket.write(answer);
    }
  }

  #chunks(socket: net.Socket, body: string): void {
    let text = "";
    for (let at = 0; at < body.length;) {
      const size = this.#random.upTo(Math.min(body.length - at, 20_000));
      text += `${size.toString(16)}\r\n${body.slice(at, at + size)}\r\n`;
      at += size;
    }
    text += this.#random.chance(0.3) ? "0\r\nx-end: 1\r\n\r\n" : "0\r\n\r\n";
    this.#pieces(socket, text);
  }

  /** In up to six writes, a few milliseconds apart. */
  #pieces(socket: net.Socket, text: string): void {
    const count = 1 + this.#random.below(6);
    const cuts = Array.from({ length: count - 1 }, () => this.#random.below(text.length)).toSorted((a, b) => a - b);
    const delays = cuts.map(() => this.#random.below(15));
    void (async () => {
      let from = 0;
      for (const [i, cut] of cuts.entries()) {
        socket.write(text.slice(from, cut));
        from = cut;
        await new Promise((resolve) => setTimeout(resolve, delays[i]));
      }
      socket.write(text.slice(from));
    })();
  }
}

function requestOf(message: Message): { method: string; plan: string; tag: string; bytes: number } {
  const [, method = "", plan = "", tag = "", bytes = ""] = /^(\S+) \/([^/]+)\/([^/]+)\/(\d+)/.exec(message.line) ?? [];
  return { method, plan, tag, bytes: Number(bytes) };
}
