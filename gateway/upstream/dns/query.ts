/**
 * One name asked of one server: both kinds of address over one TCP connection of the worker's own loop (RFC 7766 §6.2.1.1
 * allows to send the second question before the first is answered). TCP and not UDP: every server must speak it, an
 * answer of any length fits, nothing has to be sent twice, and nobody off the path can answer in the server's place, which
 * over UDP only the secrecy of a port and a number prevents. What it costs, a round trip a minute or so, is nothing here.
 */
import { Alarm } from "#net/alarm.ts";
import { Connection, type Protocol } from "#net/connection.ts";
import type { UpstreamContext } from "#upstream/context.ts";
import { DnsFramer, framed } from "./framing.ts";
import { decodeAnswer, encodeQuery, messageId, TYPE_A, TYPE_AAAA, type DnsAnswer } from "./message.ts";

export interface Addresses {
  readonly ipv4: DnsAnswer;
  readonly ipv6: DnsAnswer;
}

export class DnsQuery implements Protocol {
  readonly #context: UpstreamContext;
  readonly #connection: Connection;
  readonly #name: string;
  readonly #id: number;
  readonly #done: (answer: Addresses | string) => void;
  readonly #alarm: Alarm;
  readonly #framer = new DnsFramer();
  #ipv4: DnsAnswer | null = null;
  #ipv6: DnsAnswer | null = null;

  /** `server`: struct sockaddr. `done` is called once, never within the constructor. */
  constructor(
    context: UpstreamContext,
    server: Uint8Array,
    name: string,
    timeoutMs: number,
    done: (answer: Addresses | string) => void,
  ) {
    this.#context = context;
    this.#name = name;
    this.#done = done;
    this.#id = Math.floor(Math.random() * 0xffff);
    this.#connection = new Connection(context.loop, context.gather);
    this.#connection.adopt(context.loop.driver.connect(server, this.#connection), this);
    this.#alarm = new Alarm(context.loop, () => this.#finish("no answer in time"));
    this.#alarm.set(timeoutMs);
  }

  /** Nobody wants to know any more. */
  cancel(): void {
    this.#alarm.cancel();
    this.#connection.close();
  }

  onConnected(error: number): void {
    if (error !== 0) {
      this.#finish(`connect: errno ${error}`);
      return;
    }
    this.#connection.resume();
    const written = this.#ask(this.#id, TYPE_A) && this.#ask(this.#id + 1, TYPE_AAAA);
    if (!written) this.#finish("the name can't be asked for");
  }

  #ask(id: number, type: number): boolean {
    const query = encodeQuery(id, this.#name, type);
    if (query === null) return false;
    const bytes = framed(query);
    const at = this.#connection.reserve(bytes.length);
    if (at < 0) return false;
    this.#connection.memory.set(bytes, at);
    this.#connection.commit(at + bytes.length);
    return true;
  }

  onBytes(_buffer: number, start: number, end: number): void {
    this.#framer.push(this.#connection.memory.subarray(start, end), (message) => this.#take(message));
  }

  /** False once it is over. */
  #take(message: Uint8Array): boolean {
    const second = messageId(message) === this.#id + 1;
    const answer = second
      ? decodeAnswer(message, this.#id + 1, this.#name, TYPE_AAAA)
      : decodeAnswer(message, this.#id, this.#name, TYPE_A);
    if (typeof answer === "string") {
      this.#finish(answer);
      return false;
    }
    if (second) this.#ipv6 = answer;
    else this.#ipv4 = answer;
    if (this.#ipv4 === null || this.#ipv6 === null) return true;
    this.#finish({ ipv4: this.#ipv4, ipv6: this.#ipv6 });
    return false;
  }

  onEnd(): void {
    this.#finish("the server closed the connection");
  }

  onDrained(): void {}

  onBroken(error: number): void {
    this.#finish(`the connection broke: errno ${error}`);
  }

  onDeadline(): void {}

  #finish(answer: Addresses | string): void {
    this.#alarm.cancel();
    this.#connection.close();
    // A connect may fail within the call that makes it; and callers are told outside of a connection's own calls.
    this.#context.loop.yieldSoon();
    queueMicrotask(() => this.#done(answer));
  }
}
