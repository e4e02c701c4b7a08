/** The two ends of a stream with what stands in front of it: a PROXY header at the origin, heads of HTTP at one or both. */
import type { Fd } from "#core/brands.ts";
import type { FakeDriver } from "#io/fake/driver.ts";
import type { FakePeer, PeerHandler } from "#io/fake/peer.ts";
import type { Random } from "#io/fake/random.ts";
import type { Ledger } from "./ledger.ts";
import { StreamEnd } from "./stream-end.ts";
import { addressOf, nameOf, type StreamKind, type StreamPlan } from "./stream-plan.ts";

const HEAD_END = "\r\n\r\n";
/** What a client asks by. */
const REQUESTS: Readonly<Record<StreamKind, string>> = {
  tcp: "",
  upgrade: `GET /up HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: test${HEAD_END}`,
  tunnel: `CONNECT tunnel.test:1 HTTP/1.1\r\nhost: tunnel.test:1${HEAD_END}`,
  forward: `CONNECT forward.test:2 HTTP/1.1\r\nhost: forward.test:2${HEAD_END}`,
};
/** What an origin that is asked answers; a length is nothing that a success of CONNECT has. */
const ANSWERS: Readonly<Record<StreamKind, string>> = {
  tcp: "",
  upgrade: `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: test${HEAD_END}`,
  tunnel: "",
  forward: `HTTP/1.1 200 OK\r\ncontent-length: 3${HEAD_END}`,
};
/** What the client is answered. */
const STATUSES: Readonly<Record<StreamKind, string>> = { tcp: "", upgrade: "101", tunnel: "200", forward: "200" };

export class StreamClient implements PeerHandler {
  readonly #peer: FakePeer;
  readonly #end: StreamEnd;
  readonly #plan: StreamPlan;
  readonly #ledger: Ledger;
  readonly #stormy: boolean;
  /** Of the answer's head, while it is not whole; null behind it. */
  #head: string | null;
  #refused = false;

  constructor(plan: StreamPlan, fd: Fd, driver: FakeDriver, ledger: Ledger, random: Random, stormy: boolean) {
    this.#plan = plan;
    this.#ledger = ledger;
    this.#stormy = stormy;
    this.#head = REQUESTS[plan.kind] === "" ? null : "";
    this.#peer = driver.dial(fd, this, `${addressOf(plan.name)}:${20_000 + plan.name}`);
    const peer = this.#peer;
    this.#end = new StreamEnd(plan, "client", peer, ledger, driver, random);
    // What follows the head before the answer is there is early, and must arrive all the same.
    if (this.#head !== null) peer.write(Buffer.from(REQUESTS[plan.kind]));
    this.#end.start();
  }

  get done(): boolean {
    return this.#refused || this.#end.done;
  }

  get state(): string {
    return this.#end.state;
  }

  onData(_peer: FakePeer, bytes: Uint8Array): void {
    if (this.#refused) return;
    if (this.#head === null) {
      this.#end.onData(bytes);
      return;
    }
    this.#head += Buffer.from(bytes).toString("latin1");
    const end = this.#head.indexOf(HEAD_END);
    if (end < 0) return;
    const [head, rest] = [this.#head, Buffer.from(this.#head.slice(end + HEAD_END.length), "latin1")];
    this.#head = null;
    const { kind } = this.#plan;
    if (!head.startsWith(`HTTP/1.1 ${STATUSES[kind]} `)) {
      this.#refused = true;
      this.#ledger.note(`${kind} refused`);
      if (!this.#stormy) this.#ledger.violation(`client ${this.#plan.name} got ${JSON.stringify(head.slice(0, 30))}`);
      return;
    }
    if (kind !== "upgrade" && /^(?:content-length|transfer-encoding|connection):/im.test(head)) {
      this.#ledger.violation(`client ${this.#plan.name} was told of content in its tunnel: ${JSON.stringify(head)}`);
    }
    this.#ledger.note(`${kind} begun`);
    if (rest.length > 0) this.#end.onData(rest);
  }

  onEnd(): void {
    // An answer that never came: the origin has left, or the network.
    if (this.#refused || this.#head !== null) this.#gone();
    else this.#end.onEnd();
  }

  onReset(): void {
    this.#end.onReset();
  }

  #gone(): void {
    this.#refused = true;
    this.#peer.end();
  }
}

export class StreamOrigin implements PeerHandler {
  readonly #peer: FakePeer;
  readonly #plans: readonly StreamPlan[];
  readonly #make: (plan: StreamPlan) => StreamEnd;
  readonly #ledger: Ledger;
  #intro = "";
  #end: StreamEnd | null = null;

  constructor(peer: FakePeer, plans: readonly StreamPlan[], ledger: Ledger, make: (plan: StreamPlan) => StreamEnd) {
    this.#peer = peer;
    this.#plans = plans;
    this.#ledger = ledger;
    this.#make = make;
  }

  onData(_peer: FakePeer, bytes: Uint8Array): void {
    if (this.#end !== null) {
      this.#end.onData(bytes);
      return;
    }
    this.#intro += Buffer.from(bytes).toString("latin1");
    const introduced = this.#intro.indexOf("\r\n") + 2;
    if (introduced < 2) return;
    const plan = this.#plans[nameOf(this.#intro)];
    if (plan === undefined) {
      this.#ledger.violation(`an origin was introduced to nobody: ${JSON.stringify(this.#intro.slice(0, 60))}`);
      this.#peer.reset();
      return;
    }
    const answer = ANSWERS[plan.kind];
    const head = answer === "" ? introduced : this.#intro.indexOf(HEAD_END) + HEAD_END.length;
    if (head < introduced) return;
    const rest = Buffer.from(this.#intro.slice(head), "latin1");
    this.#end = this.#make(plan);
    if (answer !== "") this.#peer.write(Buffer.from(answer));
    this.#end.start();
    if (rest.length > 0) this.#end.onData(rest);
  }

  onEnd(): void {
    if (this.#end === null) this.#peer.close();
    else this.#end.onEnd();
  }

  onReset(): void {
    this.#end?.onReset();
  }
}
