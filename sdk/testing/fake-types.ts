/** What the fake host is given, and what it answers: plain data. */
import type { FakeMapSpec } from "./fake-map.ts";
import type { FakeAnswer, FakeConversation, FakeReply } from "./fake-state.ts";

export interface FakeRequest {
  readonly method?: string;
  /** With query. */
  readonly path?: string;
  readonly host?: string;
  readonly scheme?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Client's address. */
  readonly client?: string;
  /** One chunk, or several. `hex:…` for what is no text. */
  readonly body?: string | readonly string[];
  readonly trailers?: Readonly<Record<string, string>>;
  /** By their names in the interface: `serverName` and the like. */
  readonly properties?: Readonly<Record<string, string>>;
  readonly measures?: Readonly<Record<string, number>>;
}

export interface FakeResponse {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | readonly string[];
  readonly trailers?: Readonly<Record<string, string>>;
}

/** A connection of a stream route, and what its two ends send, in order. */
export interface FakeStream {
  readonly protocol?: "tcp" | "udp" | "tls";
  readonly client?: string;
  readonly data?: readonly { readonly from: "client" | "upstream"; readonly bytes: string }[];
  readonly properties?: Readonly<Record<string, string>>;
  readonly measures?: Readonly<Record<string, number>>;
}

export interface FakeHostOptions {
  readonly config?: Readonly<Record<string, string>>;
  /** Maps that the plugin may open. */
  readonly maps?: Readonly<Record<string, FakeMapSpec>>;
  /** Upstreams that the plugin may fetch from, and what they answer by path; `*` for every other path. */
  readonly upstreams?: Readonly<Record<string, Readonly<Record<string, FakeAnswer>>>>;
  /** What upstreams answer over connections, in turn. */
  readonly connections?: Readonly<Record<string, FakeConversation>>;
  /** The tenant's entries at the beginning. */
  readonly entries?: Readonly<Record<string, string>>;
  /** Fuel of one hook, for metered modules. */
  readonly fuel?: number;
  /** `name@version`. */
  readonly plugin?: string;
}

type Fields = readonly (readonly [string, string])[];

/** What one hook did; of a body, or a stream, the last of them. */
export interface Outcome {
  readonly verdict: "continue" | "reply" | "pause" | "fault";
  readonly reply: FakeReply | null;
  /** Headers after the hook. */
  readonly request: Fields;
  readonly response: Fields;
  readonly requestTrailers: Fields;
  readonly responseTrailers: Fields;
  /** What of a body has passed; null: no hook has seen it. Of a stream: to the upstream, and to the client. */
  readonly requestBody: Uint8Array | null;
  readonly responseBody: Uint8Array | null;
  readonly status: number;
  /** Path and query after the hook. */
  readonly target: string;
  /** Where it was sent; null: where its route says. */
  readonly route: string | null;
  readonly logs: readonly string[];
  /** Host calls in order. */
  readonly calls: readonly string[];
  readonly fetches: readonly string[];
  /** Of those that had one. */
  readonly fetchBodies: readonly string[];
  /** Over connections: `upstream bytes`. */
  readonly sent: readonly string[];
  /** To a message. */
  readonly answer: Uint8Array;
  /** Used by the hook; null when the module is not metered. */
  readonly fuel: number | null;
  /** Message of the trap. */
  readonly fault: string | null;
}
