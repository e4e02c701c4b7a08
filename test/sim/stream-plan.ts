/** What a simulated stream is to be, both ways, drawn before anything runs. Each byte says whose it is. */
import type { Random } from "#io/fake/random.ts";

/** Raw TCP; the same behind an HTTP upgrade, behind a CONNECT that the gateway ends, and behind one that the origin does. */
export type StreamKind = "tcp" | "upgrade" | "tunnel" | "forward";

/** Who is to end first: the other ends when it has seen that. Or each when it has sent all. */
export type EndOrder = "client" | "origin" | "both";

export interface StreamPlan {
  /** Also the client's address: 198.51.100.<name + 1>. */
  readonly name: number;
  readonly kind: StreamKind;
  readonly order: EndOrder;
  /** What each side sends. */
  readonly up: number;
  readonly down: number;
  /** A side that leaves by a reset after so many received pieces; Infinity: it stays to the end. */
  readonly clientLeaves: number;
  readonly originLeaves: number;
  /** Reads as if it had other things to do. */
  readonly slow: boolean;
}

const HTTP_KINDS: readonly StreamKind[] = ["upgrade", "tunnel", "forward"];
const ORDERS: readonly EndOrder[] = ["client", "origin", "both"];

export function drawStream(random: Random, name: number): StreamPlan {
  const leaves = (): number => (random.chance(0.1) ? random.below(8) : Number.POSITIVE_INFINITY);
  return {
    name,
    kind: random.chance(0.4) ? "tcp" : (HTTP_KINDS[random.below(HTTP_KINDS.length)] as StreamKind),
    order: ORDERS[random.below(ORDERS.length)] as EndOrder,
    up: drawLength(random),
    down: drawLength(random),
    clientLeaves: leaves(),
    originLeaves: leaves(),
    slow: random.chance(0.2),
  };
}

/** Often nothing, mostly little, sometimes more than the watermarks hold. */
function drawLength(random: Random): number {
  if (random.chance(0.1)) return 0;
  if (random.chance(0.1)) return random.below(600_000);
  return random.upTo(5000);
}

export function streamBytes({ name, up, down }: StreamPlan, side: "up" | "down"): Buffer {
  return Buffer.alloc(side === "up" ? up : down, `${side} ${name};`);
}

export function addressOf(name: number): string {
  return `198.51.100.${name + 1}`;
}

/** Of the origin: which client it is, by what a PROXY header says (version 1). */
export function nameOf(header: string): number {
  return Number(/^PROXY TCP4 198\.51\.100\.(\d+) /.exec(header)?.[1] ?? Number.NaN) - 1;
}
