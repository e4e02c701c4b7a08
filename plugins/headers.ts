/**
 * `headers`: removes, sets and adds fields of the request on its way in and of the response on its way back, local
 * replies of later filters included. In this order, so that a name may be removed and given back.
 */
import { internName } from "#http/names.ts";
import type { Head } from "#http/head.ts";
import {
  CONTINUE,
  HOOK_REQUEST_HEAD,
  HOOK_RESPONSE_HEAD,
  REPLY,
  type Exchange,
  type Verdict,
} from "#pipeline/filter.ts";
import type { FieldValues, HeaderEdits, HeadersConfig } from "#snapshot/builtin-filters.ts";
import { BuiltinFilter } from "./builtin-filter.ts";
import { lineOf, octetsOf } from "./texts.ts";

const NO_ROOM = lineOf("the headers do not fit");

export class HeadersFilter extends BuiltinFilter {
  readonly #request: Edits;
  readonly #response: Edits;

  constructor(config: HeadersConfig) {
    const request = new Edits(config.request);
    const response = new Edits(config.response);
    super("headers", (request.empty ? 0 : HOOK_REQUEST_HEAD) | (response.empty ? 0 : HOOK_RESPONSE_HEAD));
    this.#request = request;
    this.#response = response;
  }

  /** A request whose fields could not all be written must not be sent: upstreams rely on them. */
  override requestHead(exchange: Exchange): Verdict {
    if (this.#request.apply(exchange.request)) return CONTINUE;
    exchange.respond(500, [], NO_ROOM);
    return REPLY;
  }

  override responseHead(exchange: Exchange): Verdict {
    if (this.#response.apply(exchange.response)) return CONTINUE;
    exchange.respond(500, [], NO_ROOM);
    return REPLY;
  }
}

class Edits {
  readonly empty: boolean;
  readonly #removed: readonly number[];
  readonly #set: Lines;
  readonly #added: Lines;

  constructor({ remove, set, add }: HeaderEdits) {
    this.#removed = remove.map(internName);
    this.#set = linesOf(set);
    this.#added = linesOf(add);
    this.empty = this.#removed.length + this.#set.names.length + this.#added.names.length === 0;
  }

  /** False when the head had no room for all of it. */
  apply(head: Head): boolean {
    const removed = this.#removed;
    for (let i = 0; i < removed.length; i++) head.remove(removed[i] as number);
    const set = this.#set;
    for (let i = 0; i < set.names.length; i++) {
      const value = set.values[i] as Uint8Array;
      if (!head.set(set.names[i] as number, value, 0, value.length)) return false;
    }
    const added = this.#added;
    for (let i = 0; i < added.names.length; i++) {
      const value = added.values[i] as Uint8Array;
      if (!head.add(added.names[i] as number, value, 0, value.length)) return false;
    }
    return true;
  }
}

interface Lines {
  readonly names: readonly number[];
  readonly values: readonly Uint8Array[];
}

function linesOf(values: FieldValues): Lines {
  return { names: Object.keys(values).map(internName), values: Object.values(values).map(octetsOf) };
}
