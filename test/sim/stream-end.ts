/**
 * One end of a simulated stream, client or origin: sends its side's bytes, ends in its turn, and holds every byte it gets
 * against the other side's. What it must never see is an orderly end in front of bytes that were to come.
 */
import type { FakeDriver } from "#io/fake/driver.ts";
import type { FakePeer } from "#io/fake/peer.ts";
import type { Random } from "#io/fake/random.ts";
import type { Ledger } from "./ledger.ts";
import { streamBytes, type StreamPlan } from "./stream-plan.ts";

export class StreamEnd {
  readonly #plan: StreamPlan;
  readonly #side: "client" | "origin";
  readonly #peer: FakePeer;
  readonly #ledger: Ledger;
  readonly #driver: FakeDriver;
  readonly #random: Random;
  readonly #expected: Buffer;
  #received = 0;
  #pieces = 0;
  #endSeen = false;
  #endSent = false;
  /** Nothing is expected of it, or seen by it, any more. */
  done = false;

  constructor(
    plan: StreamPlan,
    side: "client" | "origin",
    peer: FakePeer,
    ledger: Ledger,
    driver: FakeDriver,
    random: Random,
  ) {
    this.#plan = plan;
    this.#side = side;
    this.#peer = peer;
    this.#ledger = ledger;
    this.#driver = driver;
    this.#random = random;
    this.#expected = streamBytes(plan, side === "client" ? "down" : "up");
  }

  /** Everything at once: the network cuts it. */
  start(): void {
    this.#peer.write(streamBytes(this.#plan, this.#side === "client" ? "up" : "down"));
    if (this.#plan.order === "both" || this.#plan.order === this.#side) this.#end();
  }

  onData(bytes: Uint8Array): void {
    if (this.done) return;
    const rest = this.#expected.subarray(this.#received, this.#received + bytes.length);
    if (!rest.equals(bytes)) {
      const got = Buffer.from(bytes.subarray(0, 40)).toString("latin1");
      this.#violation(`got what is not its own at ${this.#received}: ${JSON.stringify(got)}`);
      this.#leave();
      return;
    }
    this.#received += bytes.length;
    const leavesAfter = this.#side === "client" ? this.#plan.clientLeaves : this.#plan.originLeaves;
    if (++this.#pieces >= leavesAfter) this.#leave();
    else if (this.#plan.slow && this.#random.chance(0.2)) this.#rest();
  }

  onEnd(): void {
    if (this.done) return;
    this.#endSeen = true;
    if (this.#received < this.#expected.length) {
      this.#violation(`was told the end ${this.#expected.length - this.#received} bytes early`);
    }
    this.#end();
    this.#settle();
  }

  onReset(): void {
    if (this.done) return;
    this.#ledger.note("stream reset");
    this.done = true;
  }

  get state(): string {
    const ends = `${this.#endSent ? "has ended" : "has not ended"}, ${this.#endSeen ? "saw the end" : "saw no end"}`;
    return `${this.#side} ${this.#plan.name}: ${this.#received} of ${this.#expected.length} bytes, ${ends}`;
  }

  #end(): void {
    if (this.#endSent) return;
    this.#endSent = true;
    this.#peer.end();
    this.#settle();
  }

  #settle(): void {
    if (!this.#endSeen || !this.#endSent) return;
    this.done = true;
    this.#ledger.note(`stream whole, ${this.#plan.kind}, ${this.#plan.order} first`);
  }

  #leave(): void {
    this.done = true;
    this.#ledger.note(`${this.#side} left a stream`);
    this.#peer.reset();
  }

  #rest(): void {
    this.#peer.pause();
    this.#driver.after(this.#random.below(500), () => this.#peer.resume());
  }

  #violation(what: string): void {
    this.#ledger.violation(`${this.#side} ${this.#plan.name} (${this.#plan.kind}) ${what}`);
  }
}
