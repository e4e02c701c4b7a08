/** What the fake host and its host calls share: the exchange at hand, and what the hook has done so far. */
import type { AbiFunctionName } from "#sdk/types/abi.ts";
import type { FakeHeaders } from "./fake-headers.ts";
import type { FakeMap } from "./fake-map.ts";
import type { FakeTrailers } from "./fake-trailers.ts";

export interface FakeAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Why there is none, with status 0. */
  readonly error?: string;
}

export interface FakeReply {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

export interface Exchange {
  readonly request: FakeHeaders;
  readonly response: FakeHeaders;
  readonly method: string;
  target: string;
  readonly host: string;
  readonly scheme: string;
  readonly client: string;
  readonly clientBytes: Uint8Array;
  status: number;
  /** What the plugin keeps of it. */
  kept: Uint8Array;
  readonly properties: Readonly<Record<string, string>>;
  readonly measures: Readonly<Record<string, number>>;
  /** Where the plugin has sent it, `upstream` or `upstream endpoint`. */
  route: string | null;
  readonly requestTrailers: FakeTrailers;
  readonly responseTrailers: FakeTrailers;
}

/** The other end of connections that a plugin makes: each chunk is what one `receive` gets. */
export type FakeConversation = readonly { readonly sends?: string; readonly answers?: string }[];

export interface FakeEntry {
  readonly value: Uint8Array;
  readonly version: number;
}

export interface FakeState {
  readonly config: ReadonlyMap<string, string>;
  readonly maps: ReadonlyMap<string, FakeMap>;
  /** Answers by upstream and path. */
  readonly upstreams: Readonly<Record<string, Readonly<Record<string, FakeAnswer>>>>;
  /** Header names by id − 1. */
  readonly names: string[];
  readonly bytes: Uint8Array;
  exchange: Exchange | null;
  reply: FakeReply | null;
  replyHeaders: [string, string][];
  fetchHeaders: [string, string][];
  fetched: FakeAnswer | null;
  logs: string[];
  fetches: string[];
  /** Of those that had one, as cases write bytes. */
  fetchBodies: string[];
  /** Bytes at hand. */
  window: Uint8Array;
  skipsBody: boolean;
  readonly connections: Readonly<Record<string, FakeConversation>>;
  /** Connections of this hook: what is still to be received, and what was sent. */
  open: { upstream: string; left: string[]; sent: string[] }[];
  readonly entries: Map<string, FakeEntry>;
  keyValueVersion: number;
  /** Series by `kind name`, in the order of their definition. */
  readonly series: Map<string, number>;
  readonly bans: Map<string, number>;
  tickMs: number;
  message: Uint8Array;
  answer: Uint8Array;
  readonly plugin: string;
  headersOf(head: number): FakeHeaders;
}

type FakeCall = (...args: never[]) => number | bigint | undefined;

/** Every name of the interface: a fake that lacks one does not compile. */
export type FakeCalls = Record<AbiFunctionName, FakeCall>;

export type PartOfCalls = Partial<FakeCalls>;

/** The guest's memory, as host calls use it. */
export interface GuestMemory {
  /** A copy. Throws for what lies outside. */
  read(pointer: number, length: number): Uint8Array;
  text(pointer: number, length: number): string;
  /** Answers the length, or −1 for undefined; writes when it fits. */
  write(value: string | Uint8Array | undefined, pointer: number, capacity: number): number;
  /** Throws when there is none. */
  exchange(): Exchange;
}
