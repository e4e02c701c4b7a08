/** Heads of requests as tests write them, parsed in memory of their own. */
import { expect } from "vitest";
import { parseRequestHead } from "#http/h1/parse-request.ts";
import { Head } from "#http/head.ts";
import { DEFAULT_HEAD_LIMITS, type HeadLimits } from "#http/limits.ts";
import { refusalOf } from "#http/refusals.ts";
import { TestMemory } from "./http-memory.ts";

export const store = new TestMemory();
/** What `parse` has accepted last. */
export const head = new Head(store);

/** Code of the refusal, "incomplete", or "" for an accepted head, which is left in `head`. */
export function parse(message: string, limits: HeadLimits = DEFAULT_HEAD_LIMITS): string {
  const { start, end } = store.put(message);
  const answer = parseRequestHead(head, start, end, limits);
  if (answer > 0) {
    expect(answer).toBe(head.end);
    return "";
  }
  return answer === 0 ? "incomplete" : refusalOf(answer).code;
}

/** A request line and fields, with the Host that every one needs. */
export function request(line: string, ...fields: string[]): string {
  return [line, "Host: a", ...fields].join("\r\n") + "\r\n\r\n";
}
