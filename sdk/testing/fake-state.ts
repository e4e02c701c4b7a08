/** What the fake host and its host calls share: the exchange at hand, and what the hook has done so far. */
import type { AbiFunctionName } from "#sdk/types/abi.ts";
import type { FakeHeaders } from "./fake-headers.ts";
import type { FakeMap } from "./fake-map.ts";

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
  headersOf(head: number): FakeHeaders;
}

/** Every name of the interface: a fake that lacks one does not compile. */
export type FakeCalls = Record<AbiFunctionName, (...args: never[]) => number | bigint | undefined>;
