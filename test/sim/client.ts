/**
 * One client: sends its planned requests, pipelined or one after the other, reads as slowly as it likes, may leave at any
 * time, and holds every byte it gets against the plans.
 */
import type { FakeDriver } from "#io/fake/driver.ts";
import type { FakePeer, PeerHandler } from "#io/fake/peer.ts";
import type { Random } from "#io/fake/random.ts";
import type { Fd } from "#core/brands.ts";
import type { Ledger } from "./ledger.ts";
import { fieldOf, type Message, MessageReader } from "./message-reader.ts";
import { chunked } from "./origin.ts";
import { bodyOf, DENIED, isClean, type Plan, REPLACED, trailersOf, type Weather } from "./plan.ts";

/** More than this, with what is on its way, may be too much of a body that nobody wants. */
const DISCARDED_BYTES = 100_000;

/** A client that waits for 100 in vain sends its body after this long (RFC 9110 §10.1.1). */
const EXPECT_MS = 1000;

export interface ClientOptions {
  readonly name: number;
  readonly plans: readonly Plan[];
  readonly weather: Weather;
  readonly pipelined: boolean;
  /** FIN behind the last request, before its answer has come. */
  readonly halfClose: boolean;
  /** Leaves after so many received pieces; Infinity: never. */
  readonly leavesAfter: number;
  readonly slow: boolean;
}

export class Client implements PeerHandler {
  readonly #options: ClientOptions;
  /** Up to the one that ends the connection: nothing may follow it (RFC 9112 §9.6). */
  readonly #plans: readonly Plan[];
  readonly #ledger: Ledger;
  readonly #driver: FakeDriver;
  readonly #random: Random;
  readonly #peer: FakePeer;
  readonly #reader: MessageReader;
  #sent = 0;
  #answered = 0;
  #pieces = 0;
  /** The plan whose body waits for a 100. */
  #expecting: Plan | null = null;
  /** A local reply, or an answer that closes: the gateway owes nothing behind it. */
  #lastAnswer = false;
  done = false;

  constructor(options: ClientOptions, driver: FakeDriver, fd: Fd, ledger: Ledger, random: Random) {
    this.#options = options;
    const last = options.plans.findIndex(({ request }) => request.close || request.minor === 0);
    this.#plans = last < 0 ? options.plans : options.plans.slice(0, last + 1);
    this.#ledger = ledger;
    this.#driver = driver;
    this.#random = random;
    const address = `198.51.100.${options.name + 1}`;
    for (const { tag } of options.plans) ledger.clients.set(tag, address);
    this.#reader = new MessageReader({
      onHead: (message) => this.#onHead(message),
      onComplete: (message) => this.#onComplete(message),
      fail: (what) => ledger.violation(`client ${options.name} got ${what}`),
    });
    this.#peer = driver.dial(fd, this, `${address}:${20_000 + options.name}`);
    this.#sendNext();
  }

  /** Everything that was asked, and what became of it: for a message about a run that hangs. */
  get state(): string {
    return `client ${this.#options.name}: ${this.#sent} sent, ${this.#answered} answered, ${this.done ? "done" : "waits"}`;
  }

  onData(_peer: FakePeer, bytes: Uint8Array): void {
    if (this.done) return;
    this.#tell(`gets ${bytes.length} bytes`);
    this.#reader.push(bytes);
    if (++this.#pieces >= this.#options.leavesAfter) this.#leave();
    else if (this.#options.slow && this.#random.chance(0.3)) this.#rest();
  }

  onEnd(): void {
    if (this.done) return;
    this.#reader.end();
    this.#over("FIN");
  }

  onReset(_peer: FakePeer, error: number): void {
    if (!this.done) this.#over(`error ${error}`);
  }

  #tell(what: string): void {
    this.#ledger.tell(`client ${this.#options.name} ${what}`);
  }

  #leave(): void {
    this.#tell("leaves");
    this.#ledger.note("client left");
    this.done = true;
    if (this.#random.chance(0.5)) this.#peer.reset();
    else this.#peer.close();
  }

  #rest(): void {
    this.#peer.pause();
    this.#driver.after(this.#random.below(2000), () => this.#peer.resume());
  }

  #over(how: string): void {
    this.#tell(`is told the end: ${how}`);
    this.done = true;
    this.#peer.close();
    const plans = this.#plans;
    const { weather } = this.#options;
    const partial = this.#reader.partial;
    if (partial !== null) this.#checkPartial(partial);
    if (weather === "stormy" || this.#lastAnswer) return;
    // A cut answer without a length ends by a reset, which destroys what its client has not read of those before.
    const last = plans.at(-1);
    if (last !== undefined && last.request.minor === 0 && !isClean(last) && this.#options.pipelined) return;
    const plan = plans[this.#answered];
    if (plan !== undefined && isClean(plan) && this.#sent > this.#answered)
      this.#ledger.violation(`${plan.tag} was not answered: ${how}`);
  }

  #checkPartial(partial: Message): void {
    const tag = fieldOf(partial, "x-tag");
    const plan = this.#plans[this.#answered];
    if (tag === undefined || plan === undefined) return;
    if (tag !== plan.tag) this.#ledger.violation(`the answer to ${plan.tag} began as that to ${tag}`);
    if (!bodyOf(plan.tag, "response", plan.answer.bodyBytes).subarray(0, partial.body.length).equals(partial.body))
      this.#ledger.violation(`the cut answer to ${plan.tag} is not the beginning of its own`);
  }

  #sendNext(): void {
    const plans = this.#plans;
    const { pipelined, halfClose } = this.#options;
    while (this.#sent < plans.length && this.#expecting === null) {
      this.#send(plans[this.#sent++] as Plan);
      if (!pipelined) break;
    }
    if (halfClose && this.#sent === plans.length && this.#expecting === null) this.#peer.end();
  }

  #send(plan: Plan): void {
    const { tag, request } = plan;
    let head = `${request.method} /${tag} HTTP/1.${request.minor}\r\nHost: sim\r\nX-Tag: ${tag}\r\n`;
    if (request.framing === "length") head += `Content-Length: ${request.bodyBytes}\r\n`;
    if (request.framing === "chunked") head += "Transfer-Encoding: chunked\r\n";
    if (request.expect) head += "Expect: 100-continue\r\n";
    if (request.close) head += "Connection: close\r\n";
    this.#tell(`asks ${tag}`);
    this.#peer.write(Buffer.from(`${head}\r\n`));
    if (!request.expect) {
      this.#sendBody(plan);
      return;
    }
    this.#expecting = plan;
    this.#driver.after(EXPECT_MS, () => this.#continue(plan));
  }

  #continue(plan: Plan): void {
    if (this.#expecting !== plan || this.done) return;
    this.#expecting = null;
    this.#sendBody(plan);
    if (this.#options.pipelined || this.#options.halfClose) this.#sendNext();
  }

  #sendBody({ tag, request }: Plan): void {
    const body = bodyOf(tag, "request", request.bodyBytes);
    if (request.framing === "chunked") this.#peer.write(chunked(body, tag));
    else this.#peer.write(body);
  }

  #onHead(message: Message): boolean {
    this.#tell(`gets ${message.start} ${JSON.stringify(message.fields)}`);
    const status = Number(message.start.split(" ")[1]);
    const plan = this.#plans[this.#answered];
    if (plan === undefined || this.#answered >= this.#sent) {
      this.#ledger.violation(`client ${this.#options.name} got an answer to nothing: ${message.start}`);
      return true;
    }
    const tag = fieldOf(message, "x-tag");
    if (tag !== undefined && tag !== plan.tag) this.#ledger.violation(`${plan.tag} got the answer to ${tag}`);
    if (status < 200) return false;
    return plan.request.method !== "HEAD" && status !== 204 && status !== 304;
  }

  #onComplete(message: Message): void {
    const plan = this.#plans[this.#answered];
    if (plan === undefined || this.done) return;
    const status = Number(message.start.split(" ")[1]);
    if (status < 200) {
      if (status === 100) this.#continue(plan);
      return;
    }
    this.#answered++;
    this.#ledger.note(`status ${status}`);
    this.#check(plan, message, status);
    const closes = fieldOf(message, "connection")?.toLowerCase() === "close" || plan.request.minor === 0;
    this.#lastAnswer ||= closes || plan.request.close || mayOutlast(plan);
    if (this.#expecting === plan) {
      // It was answered before its body was sent, and the body must not follow: the connection has no further use.
      this.#lastAnswer = true;
      this.#peer.end();
    } else if (this.#answered === this.#plans.length) {
      this.#peer.end();
    } else if (!this.#options.pipelined && !this.#lastAnswer) {
      this.#driver.after(this.#random.chance(0.3) ? this.#random.below(3000) : 0, () => {
        if (!this.done) this.#sendNext();
      });
    }
  }

  #check(plan: Plan, message: Message, status: number): void {
    const { answer, filter, request } = plan;
    const filtered = fieldOf(message, "x-filter");
    if (filtered !== undefined) {
      const denied = filter.request.startsWith("deny") && status === DENIED;
      if (!denied && !(filter.response === "replace" && status === REPLACED))
        this.#ledger.violation(`${plan.tag}: a filter answered ${status} against its plan`);
      return;
    }
    if (filter.request.startsWith("deny")) {
      if (this.#options.weather !== "stormy") this.#ledger.violation(`${plan.tag} was not denied: ${status}`);
      return;
    }
    if (fieldOf(message, "x-tag") === undefined) {
      // The gateway's own answer: only where something went wrong.
      const excused = this.#options.weather === "stormy" || this.#ledger.refuses || staleMayFail(plan, this.#ledger);
      if (isClean(plan) && !excused)
        this.#ledger.violation(
          `${plan.tag} was answered by the gateway itself, with ${status}: ${message.body.toString()}`,
        );
      return;
    }
    if (status !== answer.status) this.#ledger.violation(`${plan.tag}: ${status} in place of ${answer.status}`);
    const bodiless = request.method === "HEAD" || answer.framing === "none";
    if (!bodiless && answer.kind !== "cut-body" && !message.body.equals(bodyOf(plan.tag, "response", answer.bodyBytes)))
      this.#ledger.violation(
        `${plan.tag}: ${message.body.length} bytes of an answer's ${answer.bodyBytes} (${answer.framing}, 1.${request.minor}) came, or others`,
      );
    const addable = !bodiless && request.minor === 1;
    this.#ledger.checkTrailers(plan.tag, message.trailers, trailersOf(plan, answer.framing === "chunked", addable));
    if (!bodiless && answer.kind === "cut-body" && (answer.framing !== "length" || answer.bodyBytes > 0))
      this.#ledger.violation(
        `${plan.tag}: the answer was cut (${answer.framing}, 1.${request.minor}), and its client was told that it is whole`,
      );
  }
}

/**
 * Nobody knows how long a chunked body is: one that an answer did not wait for is read on for a while, and then its
 * connection closes, whatever the answer had said.
 */
function mayOutlast({ request }: Plan): boolean {
  return request.framing === "chunked" && request.bodyBytes > DISCARDED_BYTES;
}

/**
 * A connection that its origin closes while it is idle may break under a request that can't be sent twice. So where the
 * run has such origins, a 502 to one of those is nobody's fault.
 */
function staleMayFail({ request }: Plan, ledger: Ledger): boolean {
  const safe = request.framing === "none" && request.method !== "POST" && request.method !== "PATCH";
  return !safe && ledger.seen.has("answer stale");
}
