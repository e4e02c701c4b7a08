/** A client of one connection that asks for this and that, and behaves as its numbers say. */
import net from "node:net";
import type { Random } from "#io/fake/random.ts";
import { isTagged, MessageReader, reset, tagged, type Message } from "./reader.ts";
import { PLANS } from "./upstream.ts";

interface Asked {
  readonly tag: string;
  readonly method: string;
  readonly text: string;
}

/** How a connection may end before its time, and how often. */
const MANNERS: readonly (readonly [string, number])[] = [
  ["waits", 60],
  ["half-closes", 15],
  ["destroys", 10],
  ["resets", 8],
  ["stops-sending", 4],
  ["stops-reading", 3],
];

/** What a filter does with a request; `never` ends with its client. */
const FILTERS: readonly (readonly [string, number])[] = [
  ["pass", 60],
  ["reply", 6],
  ["soon", 8],
  ["late", 6],
  ["late-reply", 4],
  ["response-late", 6],
  ["response-reply", 4],
  ["never", 2],
];

/** Longer than any chain of time-outs that a client of well-mannered sort can meet. */
const HUNG_MS = 12_000;
const BODY_BYTES_MAX = 90_000;

export function choose(random: Random, table: readonly (readonly [string, number])[]): string {
  let left = random.below(table.reduce((sum, [, weight]) => sum + weight, 0));
  for (const [name, weight] of table) {
    left -= weight;
    if (left < 0) return name;
  }
  return "";
}

export class ChaosClient {
  readonly #name: string;
  readonly #random: Random;
  readonly #failed: (why: string) => void;
  readonly #asked: Asked[] = [];
  readonly #manners: string;
  #answered = 0;

  constructor(index: number, random: Random, failed: (why: string) => void) {
    this.#name = `c${index}`;
    this.#random = random;
    this.#failed = (why) => failed(`${this.#name} (${this.#manners}): ${why}`);
    this.#manners = choose(random, MANNERS);
    const count = random.upTo(5);
    for (let i = 0; i < count; i++) this.#asked.push(this.#request(`${this.#name}r${i}`));
  }

  /** Resolves when the connection is over; says what was wrong by `failed`. */
  async run(port: number): Promise<void> {
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    socket.setEncoding("latin1");
    const over = new Promise<void>((resolve) => socket.on("close", () => resolve()));
    socket.on("error", () => socket.destroy());
    const hung = setTimeout(() => {
      this.#failed(`hangs after ${this.#answered} of ${this.#asked.length}: ${this.#waiting()}`);
      socket.destroy();
    }, HUNG_MS);
    const reader = this.#reader(socket);
    socket.on("data", (data) => {
      reader.push(String(data));
      if (this.#random.chance(0.04)) this.#stall(socket);
    });
    socket.on("end", () => {
      reader.finish();
      socket.end();
    });
    if (this.#manners === "stops-reading") socket.pause();
    void this.#send(socket);
    await over;
    clearTimeout(hung);
  }

  #waiting(): string {
    return JSON.stringify(this.#asked[this.#answered]?.text.slice(0, 200));
  }

  #stall(socket: net.Socket): void {
    socket.pause();
    setTimeout(() => socket.resume(), this.#random.below(50));
  }

  #reader(socket: net.Socket): MessageReader {
    const asked = (): Asked | undefined => this.#asked[this.#answered];
    const tagOf = (message: Message): string | undefined => message.fields.get("x-tag");
    const informational = (message: Message): boolean => /^HTTP\/1\.1 1(?!01)/.test(message.line);
    const reader = new MessageReader(
      false,
      (message) => /^HTTP\/1\.1 (1\d\d|204|304) /.test(message.line) || asked()?.method === "HEAD",
      {
        head: (message) => {
          if (informational(message)) return;
          const tag = tagOf(message);
          if (asked() === undefined) this.#failed(`an answer to nothing: ${message.line}`);
          else if (tag !== undefined && tag !== asked()?.tag)
            this.#failed(`${asked()?.tag} was given the answer of ${tag}`);
        },
        data: (message, text) => {
          const tag = tagOf(message);
          if (tag !== undefined && !isTagged(tag, message.bytes, text)) this.#failed(`${tag}: somebody else's bytes`);
        },
        end: (message) => {
          if (informational(message)) return;
          this.#answered++;
          // A tunnel has been opened: nothing that this client understands follows.
          if (message.line.startsWith("HTTP/1.1 101")) {
            reader.stop();
            socket.destroy();
          }
          if (this.#answered === this.#asked.length) socket.end();
        },
        bad: (why) => this.#failed(`was sent ${JSON.stringify(why)}`),
      },
    );
    return reader;
  }

  async #send(socket: net.Socket): Promise<void> {
    const random = this.#random;
    const all = this.#asked.map((one) => one.text).join("");
    const end = this.#manners === "stops-sending" ? random.below(all.length) : all.length;
    const life = random.below(400);
    if (this.#manners === "destroys") setTimeout(() => socket.destroy(), life);
    if (this.#manners === "resets") setTimeout(() => reset(socket), life);
    // `never` and a client that does not read end by their own hand.
    if (this.#manners === "stops-reading" || all.includes("x-filter: never"))
      setTimeout(() => socket.destroy(), 600 + life);
    const pieces = random.chance(0.4) ? 1 : random.upTo(12);
    for (let at = 0, i = 0; at < end && !socket.destroyed; i++) {
      const size = i >= pieces - 1 ? end - at : random.upTo(end - at);
      socket.write(all.slice(at, at + size));
      at += size;
      if (random.chance(0.5)) await new Promise((resolve) => setTimeout(resolve, random.below(20)));
    }
    if (this.#manners === "half-closes") socket.end();
  }

  #request(tag: string): Asked {
    const random = this.#random;
    const plan = choose(random, PLANS);
    const filter = choose(random, FILTERS);
    const bytes = random.upTo(BODY_BYTES_MAX);
    const target = `/${plan}/${tag}/${bytes}`;
    const common = `host: a\r\nx-filter: ${filter}\r\n`;
    const kind = random.below(20);
    if (kind === 0) {
      const text = `GET ${target} HTTP/1.1\r\n${common}Connection: Upgrade\r\nUpgrade: echo\r\n\r\n`;
      return { tag, method: "GET", text };
    }
    if (kind < 10) {
      const method = kind === 1 ? "HEAD" : kind === 2 ? "DELETE" : "GET";
      return { tag, method, text: `${method} ${target} HTTP/1.1\r\n${common}\r\n` };
    }
    const method = kind < 15 ? "POST" : "PUT";
    const body = tagged(tag, random.chance(0.1) ? 0 : random.upTo(BODY_BYTES_MAX));
    const expect = random.chance(0.1) ? "Expect: 100-continue\r\n" : "";
    if (random.chance(0.5)) {
      return {
        tag,
        method,
        text: `${method} ${target} HTTP/1.1\r\n${common}${expect}Content-Length: ${body.length}\r\n\r\n${body}`,
      };
    }
    let chunks = "";
    for (let at = 0; at < body.length;) {
      const size = random.upTo(Math.min(body.length - at, 30_000));
      chunks += `${size.toString(16)}\r\n${body.slice(at, at + size)}\r\n`;
      at += size;
    }
    return {
      tag,
      method,
      text: `${method} ${target} HTTP/1.1\r\n${common}${expect}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`,
    };
  }
}
