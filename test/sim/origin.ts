/** One connection of the gateway to an origin: reads requests, holds them against their plans, answers as planned. */
import type { FakeDriver } from "#io/fake/driver.ts";
import type { FakePeer, PeerHandler } from "#io/fake/peer.ts";
import type { Ledger } from "./ledger.ts";
import { fieldOf, type Message, MessageReader } from "./message-reader.ts";
import { bodyOf, type Plan, trailersOf } from "./plan.ts";
import { HEALTH_PATH } from "./policies.ts";

/** Methods that are never sent twice once their bytes have left (RFC 9110 §9.2.2). */
const NOT_IDEMPOTENT = new Set(["POST", "PATCH"]);

/** A second answer behind the one that was asked for: to whomever it gets, it is not theirs. */
const SMUGGLED = "HTTP/1.1 200 OK\r\nx-tag: smuggled\r\ncontent-length: 8\r\n\r\nsmuggled";

export class Origin implements PeerHandler {
  readonly #ledger: Ledger;
  readonly #driver: FakeDriver;
  readonly #peer: FakePeer;
  readonly #reader: MessageReader;
  #closed = false;
  #plan: Plan | null = null;

  constructor(peer: FakePeer, ledger: Ledger, driver: FakeDriver) {
    this.#peer = peer;
    this.#ledger = ledger;
    this.#driver = driver;
    this.#reader = new MessageReader({
      onHead: (message) => this.#onHead(message),
      onComplete: (message) => this.#onComplete(message),
      fail: (what) => ledger.violation(`an origin got ${what}`),
    });
  }

  onData(_peer: FakePeer, bytes: Uint8Array): void {
    if (!this.#closed) this.#reader.push(bytes);
  }

  onEnd(): void {
    this.#ledger.tell(`origin ${this.#peer.address} is told the end`);
    this.#close();
  }

  onReset(): void {
    this.#ledger.tell(`origin ${this.#peer.address} is reset`);
    this.#closed = true;
  }

  #onHead(message: Message): boolean {
    if (message.start.includes(HEALTH_PATH)) return false;
    const tag = fieldOf(message, "x-tag") ?? "";
    const plan = this.#ledger.plans.get(tag);
    if (plan === undefined) {
      this.#ledger.violation(`an origin got a request that nobody made: ${JSON.stringify(message.start)}`);
      return false;
    }
    if (this.#plan !== null) this.#ledger.violation(`${tag} reached an origin before ${this.#plan.tag} was answered`);
    this.#plan = plan;
    this.#ledger.tell(`origin ${this.#peer.address} gets ${tag}`);
    const times = this.#ledger.arrived(tag);
    if (times > 1) this.#ledger.note("sent twice");
    const { method, framing } = plan.request;
    const keeps = framing !== "none" && !this.#ledger.retries;
    if (times > 1 && (NOT_IDEMPOTENT.has(method) || keeps))
      this.#ledger.violation(`${tag} (${method}, ${framing}) reached an origin ${times} times`);
    if (message.start !== `${method} /${tag} HTTP/1.1`) this.#ledger.violation(`${tag} became ${message.start}`);
    const forwarded = message.fields.filter(([name]) => name === "x-forwarded-for").map(([, value]) => value);
    const client = this.#ledger.clients.get(tag) ?? "";
    if (forwarded.join() !== client) this.#ledger.violation(`${tag} of ${client} is forwarded for ${forwarded.join()}`);
    if (fieldOf(message, "connection") !== undefined) this.#ledger.violation(`${tag} came with a Connection field`);
    this.#onPlannedHead(plan);
    return framing !== "none";
  }

  #onPlannedHead({ answer, request, tag }: Plan): void {
    if (request.expect && answer.kind !== "early") this.#peer.write(Buffer.from("HTTP/1.1 100 Continue\r\n\r\n"));
    if (answer.kind === "reset") {
      this.#closed = true;
      this.#peer.reset();
    }
    if (answer.kind === "early") this.#answer(tag);
  }

  #onComplete(message: Message): void {
    if (message.start.includes(HEALTH_PATH)) {
      this.#ledger.note("health check");
      this.#peer.write(Buffer.from("HTTP/1.1 204 No Content\r\n\r\n"));
      return;
    }
    const plan = this.#plan;
    if (plan === null || this.#closed) return;
    const { tag, request, answer } = plan;
    if (!message.body.equals(bodyOf(tag, "request", request.bodyBytes)))
      this.#ledger.violation(
        `${tag}: ${message.body.length} bytes of a request's ${request.bodyBytes} came, or others`,
      );
    const addable = request.framing === "chunked" || request.bodyBytes > 0;
    this.#ledger.checkTrailers(tag, message.trailers, trailersOf(plan, request.framing === "chunked", addable));
    if (answer.kind === "early") this.#plan = null;
    if (answer.kind === "early" || answer.kind === "silent") return;
    if (answer.delayMs === 0) this.#answer(tag);
    else this.#driver.after(answer.delayMs, () => this.#answer(tag));
  }

  #answer(tag: string): void {
    const plan = this.#plan;
    if (this.#closed || plan === null || plan.tag !== tag) return;
    const { answer, request } = plan;
    this.#ledger.note(`answer ${answer.kind}`);
    this.#ledger.tell(`origin ${this.#peer.address} answers ${tag}`);
    if (answer.kind !== "early" || request.framing === "none") this.#plan = null;
    const message = messageOf(plan);
    for (let i = 0; i < answer.informational; i++)
      this.#peer.write(Buffer.from(`HTTP/1.1 103 Early Hints\r\nx-tag: ${tag}\r\nlink: <${i}>\r\n\r\n`));
    switch (answer.kind) {
      case "garbage":
        this.#peer.write(Buffer.from(`HTTP/1.1 2x0 what\r\nx-tag: ${tag}\r\n\r\n`));
        this.#close();
        break;
      case "cut-head":
        this.#peer.write(message.subarray(0, 20));
        this.#close();
        break;
      case "cut-body":
        this.#peer.write(message.subarray(0, message.length - 1));
        if (answer.framing === "close") this.#reset();
        else this.#close();
        break;
      case "trailing":
        this.#peer.write(Buffer.concat([message, Buffer.from(SMUGGLED)]));
        break;
      default:
        this.#peer.write(message);
        if (answer.framing === "close") this.#close();
        else if (answer.kind === "stale") this.#driver.after(answer.delayMs / 4, () => this.#close());
    }
  }

  #reset(): void {
    this.#closed = true;
    this.#peer.reset();
  }

  /** FIN behind all that was written; once that has left, nothing is read any more: as a server that exits. */
  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#peer.end();
    this.#closeWhenSent();
  }

  #closeWhenSent(): void {
    this.#driver.after(50, () => (this.#peer.queuedBytes > 0 ? this.#closeWhenSent() : this.#peer.close()));
  }
}

function messageOf({ tag, answer, request }: Plan): Buffer {
  const reason = answer.status === 200 ? "OK" : "Whatever";
  const body = bodyOf(tag, "response", answer.bodyBytes);
  let head = `HTTP/1.1 ${answer.status} ${reason}\r\nx-tag: ${tag}\r\n`;
  if (answer.framing === "length") head += `Content-Length: ${body.length}\r\n`;
  if (answer.framing === "chunked") head += "Transfer-Encoding: chunked\r\n";
  if (answer.framing === "close") head += "Connection: close\r\n";
  const start = Buffer.from(`${head}\r\n`);
  if (request.method === "HEAD" || answer.framing === "none") return start;
  return Buffer.concat([start, answer.framing === "chunked" ? chunked(body, tag) : body]);
}

/** Chunks of growing length, and a trailer that says whose it is. */
export function chunked(body: Buffer, tag: string): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0, size = 1; at < body.length; at += size, size *= 3) {
    const piece = body.subarray(at, at + size);
    pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n"));
  }
  pieces.push(Buffer.from(`0\r\nx-sum: ${tag}\r\n\r\n`));
  return Buffer.concat(pieces);
}
