/**
 * What the host keeps of one stream that a plugin has a context for: an HTTP exchange, or a TCP connection. Host calls read
 * and mark it; what they ask for happens when the guest's callback is over, so that nothing runs back into it.
 */
import type { Trailing } from "#pipeline/body.ts";
import type { Exchange, ExchangeFacts } from "#pipeline/filter.ts";
import {
  BUFFER_REQUEST_BODY,
  BUFFER_RESPONSE_BODY,
  MAP_REQUEST_HEADERS,
  MAP_REQUEST_TRAILERS,
  MAP_RESPONSE_HEADERS,
  MAP_RESPONSE_TRAILERS,
  STREAM_REQUEST,
  STREAM_RESPONSE,
} from "./abi.ts";
import type { GuestBuffer } from "./guest-buffer.ts";
import { HeadMap, REQUEST_MAP, RESPONSE_MAP, TRAILER_MAP } from "./head-map.ts";

export interface LocalReply {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
}

/** Where one direction of an exchange stands. */
export const HEAD_BEFORE = 0;
/** The guest's callback for the head runs. */
export const HEAD_ASKED = 1;
/** It has answered PAUSE: the exchange waits. */
export const HEAD_PAUSED = 2;
/** The head has gone on. */
export const HEAD_PASSED = 3;
export type HeadState = 0 | 1 | 2 | 3;

/** The body's side of one direction: told to go on when the guest says so. */
export interface Flow {
  /** What the guest can read and change of the body now; null: nothing. */
  readonly visible: GuestBuffer | null;
  /** The guest lets go what it has held back. */
  release(): void;
  /** Another answer takes the body's place. */
  drop(): void;
  /** The guest has ended: what it held goes on as it is, or the body fails. */
  abandon(fails: boolean): void;
}

/** A pause, a continue and the end of one direction. */
export class Direction {
  head: HeadState = HEAD_BEFORE;
  flow: Flow | null = null;
  /** From when the guest is asked about the end of the body, until it lets that go. */
  trailing: Trailing | null = null;
  /** The guest has asked to go on, or to break off, since its callback began. */
  wantsOn = false;
  wantsClose = false;
}

type ClientCertificate = NonNullable<Exchange["clientCertificate"]>;

export abstract class StreamContext {
  /** Above 1: that is the plugin's own. */
  readonly id: number;
  /** Calls to upstreams that this context has made and that are not answered. */
  callsOut = 0;
  /** `proxy_on_done` has answered that it is not done yet. */
  pendingDone = false;
  /** It is in the list of contexts whose wishes are looked at when the callback is over. */
  marked = false;
  /** What `proxy_set_property` has set, by path. */
  properties: Map<string, Uint8Array> | null = null;

  constructor(id: number) {
    this.id = id;
  }

  /** The client's address, with its port where that is known; empty once the stream is over. */
  abstract get clientAddress(): string;
  abstract get routeName(): string;
  /** Where the client wanted to go, or believes to be connected to; empty when that is not known. */
  abstract get destination(): string;
  /** The name that a TLS client asked for; empty: none. */
  abstract get serverName(): string;
  /** `TLSv1.3`; empty: the client's bytes came in plaintext, or are not ours to decrypt. */
  abstract get tlsVersion(): string;
  /** That the client has shown; null: none. */
  abstract get certificate(): ClientCertificate | null;
  /** The map that a `proxy_map_type_t` names, null when there is none now. */
  abstract map(type: number): HeadMap | null;
  /** Whether that map may be changed now. */
  abstract mayEdit(type: number): boolean;
  /** The map to put something into, of those that may be changed; null: what is put there has nowhere to go. */
  mapToFill(type: number): HeadMap | null {
    return this.map(type);
  }
  /** The buffer that a `proxy_buffer_type_t` names. */
  abstract buffer(type: number): GuestBuffer | null;
  /** A direction by its `proxy_stream_type_t`. */
  abstract direction(type: number): Direction | null;
}

export class HttpContext extends StreamContext {
  /** Null once the exchange is over. */
  exchange: Exchange | null;
  readonly position: number;
  readonly request = new Direction();
  readonly response = new Direction();
  reply: LocalReply | null = null;
  /** The response's head stands in memory of its own: it can be read when it has gone on. */
  responseKept = false;
  /** Ends a pause that lasts too long. */
  deadline: NodeJS.Timeout | null = null;
  /** Milliseconds since the epoch. */
  readonly startedMs: number;
  #requestMap: HeadMap | null = null;
  #responseMap: HeadMap | null = null;

  constructor(id: number, exchange: Exchange, position: number, startedMs: number) {
    super(id);
    this.exchange = exchange;
    this.position = position;
    this.startedMs = startedMs;
  }

  get facts(): ExchangeFacts | null {
    return this.exchange?.facts ?? null;
  }

  override get clientAddress(): string {
    return this.facts?.clientSocket ?? this.exchange?.clientAddress ?? "";
  }

  override get routeName(): string {
    return this.facts?.routeName ?? "";
  }

  override get destination(): string {
    const { facts } = this;
    if (facts === null) return "";
    return facts.originalDestination === "" ? facts.localSocket : facts.originalDestination;
  }

  override get serverName(): string {
    return this.facts?.serverName ?? "";
  }

  override get tlsVersion(): string {
    return this.facts?.tlsVersion ?? "";
  }

  override get certificate(): ClientCertificate | null {
    return this.exchange?.clientCertificate ?? null;
  }

  override map(type: number): HeadMap | null {
    const { exchange } = this;
    if (exchange === null) return null;
    if (type === MAP_REQUEST_HEADERS) {
      return (this.#requestMap ??= new HeadMap(exchange.request, REQUEST_MAP, exchange.scheme ?? "http"));
    }
    if (type === MAP_RESPONSE_HEADERS) {
      const { head } = this.response;
      if (head === HEAD_BEFORE || (head === HEAD_PASSED && !this.responseKept)) return null;
      return (this.#responseMap ??= new HeadMap(exchange.response, RESPONSE_MAP, ""));
    }
    const trailers = this.#trailing(type)?.trailers ?? null;
    return trailers === null ? null : new HeadMap(trailers, TRAILER_MAP, "");
  }

  override mapToFill(type: number): HeadMap | null {
    const trailers = this.#trailing(type)?.makeTrailers() ?? null;
    return trailers === null ? this.map(type) : new HeadMap(trailers, TRAILER_MAP, "");
  }

  #trailing(type: number): Trailing | null {
    if (type === MAP_REQUEST_TRAILERS) return this.request.trailing;
    return type === MAP_RESPONSE_TRAILERS ? this.response.trailing : null;
  }

  /** A head until it has gone on, trailers from the end of the body on until that has. */
  override mayEdit(type: number): boolean {
    const side = type < MAP_RESPONSE_HEADERS ? this.request : this.response;
    if (type === MAP_REQUEST_TRAILERS || type === MAP_RESPONSE_TRAILERS) return side.trailing !== null;
    return side.head === HEAD_ASKED || side.head === HEAD_PAUSED;
  }

  override buffer(type: number): GuestBuffer | null {
    const side = type === BUFFER_REQUEST_BODY ? this.request : type === BUFFER_RESPONSE_BODY ? this.response : null;
    return side?.flow?.visible ?? null;
  }

  override direction(type: number): Direction | null {
    return type === STREAM_REQUEST ? this.request : type === STREAM_RESPONSE ? this.response : null;
  }

  /** Nothing of a response has left yet, as far as this plugin can know. */
  get mayReply(): boolean {
    return this.exchange !== null && this.response.head !== HEAD_PASSED;
  }

  stopDeadline(): void {
    if (this.deadline !== null) clearTimeout(this.deadline);
    this.deadline = null;
  }
}
