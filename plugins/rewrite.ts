/**
 * `rewrite`: another beginning of the path, another query, another host, as later filters and the upstream see the request.
 * The route was chosen before, by what the client sent.
 */
import { HOST } from "#http/names.ts";
import type { Head } from "#http/head.ts";
import { CONTINUE, HOOK_REQUEST_HEAD, REPLY, type Exchange, type Verdict } from "#pipeline/filter.ts";
import type { RewriteConfig } from "#snapshot/builtin-filters.ts";
import { BuiltinFilter } from "./builtin-filter.ts";
import { filledQuery } from "./template.ts";
import { lineOf, octetsOf } from "./texts.ts";

const SLASH = 0x2f;
const QUESTION = 0x3f;
const TOO_LONG = lineOf("the rewritten request is too long");

/** A target of the greatest length (settings, `targetBytesMax`) with the longest prefix before it (`requestPath`). */
const TARGET_BYTES_MAX = 32_768 + 2048;
/** Used within one call only: all filters of the worker share it. */
const target = new Uint8Array(TARGET_BYTES_MAX);

export class RewriteFilter extends BuiltinFilter {
  readonly #from: Uint8Array | null;
  readonly #to: Uint8Array;
  readonly #query: string | null;
  readonly #host: Uint8Array | null;

  constructor({ prefix, query, host }: RewriteConfig) {
    super("rewrite", HOOK_REQUEST_HEAD);
    // Without the slash at the end a prefix is whole segments, and "/" is empty: in front of every path.
    this.#from = prefix === undefined ? null : octetsOf(prefix.from.replace(/\/$/, ""));
    this.#to = octetsOf(prefix?.to.replace(/\/$/, "") ?? "");
    this.#query = query ?? null;
    this.#host = host === undefined ? null : octetsOf(host);
  }

  override requestHead(exchange: Exchange): Verdict {
    const { request } = exchange;
    const host = this.#host;
    if (this.#rewriteTarget(request) && (host === null || request.set(HOST, host, 0, host.length))) return CONTINUE;
    exchange.respond(500, [], TOO_LONG);
    return REPLY;
  }

  /** True also where there is nothing to change: another beginning and the query as it is, or no path at all. */
  #rewriteTarget(request: Head): boolean {
    if (!hasPath(request)) return true;
    const from = this.#from;
    const replaced = from !== null && startsWith(request, from) ? from.length : -1;
    if (replaced < 0 && this.#query === null) return true;
    let end = replaced < 0 ? 0 : append(this.#to, 0, this.#to.length, 0);
    end = append(request.memory, request.pathStart + Math.max(replaced, 0), request.pathEnd, end);
    if (end === 0) target[end++] = SLASH;
    end = this.#query === null ? appendQuery(request, end) : appendText(filledQuery(this.#query, request), end);
    return end <= target.length && request.setTarget(target, 0, end);
  }
}

function appendQuery(request: Head, at: number): number {
  if (!request.hasQuery) return at;
  target[at++] = QUESTION;
  return append(request.memory, request.queryStart, request.queryEnd, at);
}

/** What is too long for the target is written as far as it goes: the answer tells. */
function appendText(query: string, at: number): number {
  if (query === "") return at;
  target[at++] = QUESTION;
  return append(octetsOf(query), 0, query.length, at);
}

/** A byte at a time: a copy by `set` would make a view of the source. */
function append(source: Uint8Array, start: number, end: number, at: number): number {
  for (let i = start; i < end; i++) target[at++] = source[i] as number;
  return at;
}

/** `*` and an empty path are none. */
function hasPath({ memory, pathStart, pathEnd }: Head): boolean {
  return pathStart < pathEnd && memory[pathStart] === SLASH;
}

function startsWith(request: Head, prefix: Uint8Array): boolean {
  const { memory, pathStart, pathEnd } = request;
  const end = pathStart + prefix.length;
  if (end > pathEnd || (end < pathEnd && memory[end] !== SLASH)) return false;
  for (let i = 0; i < prefix.length; i++) if (memory[pathStart + i] !== prefix[i]) return false;
  return true;
}
