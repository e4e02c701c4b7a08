/**
 * What one simulated exchange is to be: drawn from the seed before anything runs, so that every end of it (client, filter,
 * origin) plays its part without talking to the others, and all can tell what ought to arrive.
 */
import type { Random } from "#io/fake/random.ts";

export type Weather = "calm" | "rough" | "stormy";

export interface RequestPlan {
  readonly method: string;
  readonly minor: 0 | 1;
  readonly framing: "none" | "length" | "chunked";
  readonly bodyBytes: number;
  /** The body follows a 100, or a wait. */
  readonly expect: boolean;
  readonly close: boolean;
}

export interface AnswerPlan {
  readonly kind: "whole" | "cut-head" | "cut-body" | "reset" | "silent" | "garbage" | "trailing" | "stale" | "early";
  readonly status: number;
  readonly framing: "none" | "length" | "chunked" | "close";
  readonly bodyBytes: number;
  readonly informational: number;
  readonly delayMs: number;
}

export interface FilterPlan {
  readonly request: "pass" | "later" | "deny" | "deny-later";
  readonly response: "pass" | "later" | "replace";
  readonly delayMs: number;
  /** Adds a trailer to each body: when it ends, or `delayMs` later. */
  readonly trailers: "none" | "now" | "later";
}

export interface Plan {
  /** Names the exchange in every message of it: `3.1` is client 3's second. */
  readonly tag: string;
  readonly request: RequestPlan;
  readonly answer: AnswerPlan;
  readonly filter: FilterPlan;
}

export const PASSED: FilterPlan = { request: "pass", response: "pass", delayMs: 0, trailers: "none" };
export const DENIED = 418;
export const REPLACED = 503;

const METHODS = ["GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
const BODY_METHODS = new Set(["POST", "PUT", "PATCH"]);
const FAILURES = ["cut-head", "cut-body", "reset", "silent", "garbage", "stale", "early"] as const;

/** `failures`: how often an origin misbehaves. `trailing` bytes are only told from the next answer's in calm weather. */
export function drawPlan(random: Random, tag: string, weather: Weather, failures: number, filters: boolean): Plan {
  const method = METHODS[random.below(METHODS.length)] as string;
  return {
    tag,
    request: drawRequest(random, method),
    answer: drawAnswer(random, method, weather, failures),
    filter: filters ? drawFilter(random, tag) : PASSED,
  };
}

/** True when nothing but a lossy network can keep the exchange from its planned end. */
export function isClean({ answer }: Plan): boolean {
  return answer.kind === "whole" || answer.kind === "trailing" || answer.kind === "stale";
}

function drawRequest(random: Random, method: string): RequestPlan {
  const framing = !BODY_METHODS.has(method) ? "none" : random.chance(0.5) ? "length" : "chunked";
  const minor = framing !== "chunked" && random.chance(0.05) ? 0 : 1;
  return {
    method,
    minor,
    framing,
    bodyBytes: framing === "none" ? 0 : drawLength(random),
    expect: framing !== "none" && minor === 1 && random.chance(0.1),
    close: random.chance(0.05),
  };
}

function drawAnswer(random: Random, method: string, weather: Weather, failures: number): AnswerPlan {
  const failing = random.chance(failures);
  const kind = failing ? (FAILURES[random.below(FAILURES.length)] as AnswerPlan["kind"]) : "whole";
  const status = random.chance(0.1) ? (random.chance(0.5) ? 204 : 304) : random.chance(0.1) ? 500 : 200;
  const bodiless = status === 204 || status === 304;
  const framings = ["length", "length", "chunked", "close"] as const;
  const framing = bodiless ? "none" : (framings[random.below(framings.length)] as AnswerPlan["framing"]);
  const trailing = weather === "calm" && !failing && framing === "length" && method !== "HEAD" && random.chance(0.05);
  return {
    kind: trailing ? "trailing" : kind,
    status,
    framing,
    bodyBytes: bodiless ? 0 : drawLength(random),
    informational: random.chance(0.05) ? 1 + random.below(3) : 0,
    delayMs: random.chance(0.3) ? random.below(200) : 0,
  };
}

const TRAILERS = ["none", "now", "none", "later", "none"] as const;

function drawFilter(random: Random, tag: string): FilterPlan {
  return {
    request: random.chance(0.3) ? "later" : random.chance(0.1) ? "deny" : random.chance(0.05) ? "deny-later" : "pass",
    response: random.chance(0.2) ? "later" : random.chance(0.05) ? "replace" : "pass",
    delayMs: random.below(50),
    // By the tag, so that what seeds have told before is told as it was.
    trailers: TRAILERS[Math.round(Number(tag) * 10) % TRAILERS.length] as FilterPlan["trailers"],
  };
}

/** Mostly short, sometimes empty, sometimes more than the watermarks hold. */
function drawLength(random: Random): number {
  if (random.chance(0.1)) return 0;
  if (random.chance(0.05)) return random.below(600_000);
  return random.upTo(random.chance(0.2) ? 70_000 : 2000);
}

/**
 * What stands behind a message: the sender's own when it sends chunks, then the filter's, of the same exchange. `addable`: there is a
 * body, and its receiver reads chunks.
 */
export function trailersOf({ tag, filter }: Plan, chunked: boolean, addable: boolean): [string, string][] {
  const own: [string, string][] = chunked && addable ? [["x-sum", tag]] : [];
  return filter.trailers !== "none" && addable ? [...own, ["x-trail", tag]] : own;
}

/** A body that says at every byte whose it is. */
export function bodyOf(tag: string, side: "request" | "response", length: number): Buffer {
  return Buffer.alloc(length, `${side} ${tag};`);
}
