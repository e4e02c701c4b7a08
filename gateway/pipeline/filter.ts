/**
 * Filters as the engine runs them: one object per route position and worker, shared by all exchanges of that route, so
 * that a request allocates nothing. What belongs to one exchange lives in `exchange.state[position]`.
 *
 * Lifecycle: constructed while a snapshot is prepared, warmed, put into force with it, disposed when its last exchange
 * has ended.
 */
import type { PeerCertificate } from "#net/tls/peer.ts";
import type { Head } from "#http/head.ts";
import type { BodyStage, LengthEffect } from "./body.ts";
import type { RawConnection } from "./connection.ts";
import type { TenantAccount } from "./tenant.ts";

/** What a hook decides. */
export const CONTINUE = 0;
/** The filter has called `exchange.respond`: that reply goes back through the response hooks of the filters before it. */
export const REPLY = 1;
/** The filter will call `exchange.resume(verdict)` later, exactly once. */
export const SUSPEND = 2;
export type Verdict = 0 | 1 | 2;

export interface Exchange {
  readonly request: Head;
  /** Valid from `responseHead` on. */
  readonly response: Head;
  /** Client address as text, `203.0.113.7` or `2001:db8::7`. */
  readonly clientAddress: string;
  /** The same as 16 bytes, IPv4 mapped. */
  readonly clientAddressBytes: Uint8Array;
  /** The certificate that the client has shown and that was verified; null: none. Absent where there is no client. */
  readonly clientCertificate?: PeerCertificate | null;
  /** Of the connection the request came over; absent: http. */
  readonly scheme?: "http" | "https";
  /** Absent where there is no gateway around it. */
  readonly facts?: ExchangeFacts;
  /**
   * Before the request leaves: it goes to this upstream of the snapshot in force, and there to this endpoint, if one is named.
   * False: there is no such one. Absent where there is nowhere to go.
   */
  routeTo?(upstream: string, endpoint: string): boolean;
  /** One slot a filter position; reset to null when the exchange ends. */
  readonly state: unknown[];

  /** Makes the local reply. `headers` are name/value pairs, already valid; content-length is set by the engine. */
  respond(status: number, headers: readonly (readonly [string, string])[], body: Uint8Array): void;
  /**
   * The same with a body that comes from `source`, which is asked to begin (`drained`) once the head has been sent.
   * `contentLength`: what it will write, or −1 when that is not known. A source for a request that gets no content is
   * disposed at once.
   */
  respondFrom(
    status: number,
    headers: readonly (readonly [string, string])[],
    contentLength: number,
    source: BodyStage,
  ): void;
  /**
   * Answers in the middle of a body, outside of any hook: the upstream is let go. False when a response is on its way already.
   * Absent where there is nobody to answer.
   */
  interrupt?(status: number, headers: readonly (readonly [string, string])[], body: Uint8Array): boolean;
  /** Within the request hook, or before `resume`: the request's body goes through `stage` (see `body.ts`). */
  filterRequestBody(stage: BodyStage, effect: LengthEffect): void;
  /** Within the response hook, or before `resume`: the response's body goes through `stage`. */
  filterResponseBody(stage: BodyStage, effect: LengthEffect): void;
  /** Takes a suspended exchange on. Does nothing when the exchange has ended meanwhile. */
  resume(verdict: Verdict): void;
  /** True once the exchange is over: a suspended filter has nothing left to say. */
  readonly ended: boolean;
}

/** What is known of an exchange beside its heads. */
export interface ExchangeFacts {
  readonly routeName: string;
  /** Where it goes, by the name that the route's author knows; empty: there are several, or none. */
  readonly upstreamName: string;
  /** `address:port` of the endpoint; empty before one is chosen. */
  readonly upstreamAddress: string;
  readonly originalDestination: string;
  /** `203.0.113.7:51234`, `[2001:db8::7]:51234`, `unix:`: the client, and where it believes to be connected to. */
  readonly clientSocket: string;
  readonly localSocket: string;
  /** The name that a TLS client asked for. */
  readonly serverName: string;
  /** `TLSv1.3`; empty on a plain connection. */
  readonly tlsVersion: string;
  /** In the end hook: one word for how it ended; empty before. */
  readonly outcomeCode: string;
  /** Of the response; 0 before there is one. */
  readonly statusSent: number;
  readonly durationMs: number;
  /** Of bodies. */
  readonly requestBytes: number;
  readonly responseBytes: number;
}

/** Of a cache: what is absent names all. */
export interface CachedResponses {
  readonly host?: string | undefined;
  readonly path?: string | undefined;
  readonly prefix?: string | undefined;
}

export interface Filter {
  /** `token-check@1`, for logs, metrics and `explain`. */
  readonly name: string;
  /** Hooks that are absent cost nothing: the engine asks once, when the snapshot is prepared. */
  readonly hooks: number;
  /** `position` is the filter's place in the chain, its index into `exchange.state`. */
  requestHead(exchange: Exchange, position: number): Verdict;
  responseHead(exchange: Exchange, position: number): Verdict;
  /** The exchange has ended, whatever way. */
  end(exchange: Exchange, position: number): void;
  dispose(): void;
  /** Of this position and worker, by the names that `/metrics` shows. Absent: it counts nothing. */
  counters?(): Readonly<Record<string, number>>;
  /** Forgets responses that it keeps, and does not keep what is being fetched; answers how many. Absent: it keeps none. */
  purge?(which: CachedResponses): number;
}

export const HOOK_REQUEST_HEAD = 1;
export const HOOK_RESPONSE_HEAD = 2;
export const HOOK_END = 4;

/** What the gateway lends to filters; every use is checked against the route's `allow` list by the filter's room. */
/** Reading the clock twice takes as long as a small hook's own work. */
export const CALLS_A_SAMPLE = 16;

export interface FilterServices {
  fetch(upstream: number, request: FetchRequest): Promise<FetchResponse>;
  /** A connection to an endpoint of the upstream, or why there is none. Absent: there is nothing to connect to. */
  connect?(upstream: number, timeoutMs: number): Promise<RawConnection | string>;
  /** The map at this index of the snapshot. */
  map(index: number): SharedMap;
  /** Refuses a prefix (20 bytes, as a map's key) on all routes of the filter's tenant. False: no room. Absent: there are none. */
  ban?(prefix: Uint8Array, seconds: number): boolean;
  /** Calls `run` every so often until the answer is called. Absent: there is no clock. */
  every?(periodMs: number, run: () => void): () => void;
  /** `offset`: of a fault, in the module as uploaded. */
  log(level: "debug" | "info" | "warn" | "error", filter: string, message: string, offset?: number): void;
  /** Whose plugin it is: what it may use, and what it shares with the tenant's others. */
  readonly tenant: TenantAccount;
  /** A call of the filter that was measured has ended: one in CALLS_A_SAMPLE is. Absent: nobody counts. */
  took?(durationMs: number): void;
  /** Milliseconds since the epoch, as of the start of this turn. */
  nowMs(): number;
  /** Milliseconds of CLOCK_BOOTTIME, which `expiry` values of maps are counted in; absent: asked of the operating system. */
  bootMs?(): number;
}

/** A fetch under way, for who may not want its answer any more. */
export interface FetchCall {
  /** Set by who fetches. Ends it: the answer is then that there is none. */
  cancel: (() => void) | null;
}

export interface FetchRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  /** At most 1 MiB. */
  readonly body: Uint8Array;
  readonly timeoutMs: number;
  /** Only the status is wanted: the rest of the answer, however long, is read and dropped. */
  readonly ignoreAnswer?: boolean;
  readonly call?: FetchCall;
}

export interface FetchResponse {
  /** 0 when there was no answer: `error` says why. */
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  /** At most 64 KiB; a longer one is an error. */
  readonly body: Uint8Array;
  readonly error: string;
}

/** Keys and values as the map's schema lays them out (see MapSpec). Synchronous: about 1 µs in the kernel. */
export interface SharedMap {
  readonly name: string;
  /** Null when absent or expired. The bytes are the caller's until the next call. */
  get(key: Uint8Array): Uint8Array | null;
  /** False when the map is full. */
  put(key: Uint8Array, value: Uint8Array): boolean;
  delete(key: Uint8Array): boolean;
  /**
   * The key after this one, in no order, or the first (null); null: that was the last. From a key that is not there any more it
   * may begin anew. The bytes are the caller's until the next call.
   */
  next(key: Uint8Array | null): Uint8Array | null;
  /** Adds to a `counter` value, from 0 where absent, and answers the sum. */
  increment(key: Uint8Array, delta: bigint): bigint;
}
