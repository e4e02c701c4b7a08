import * as upstreams from "penstock:plugin/upstreams@1.0.0";
import { bytesOf, textOf } from "./text.ts";

export interface FetchOptions {
  /** `GET` when it is left out. */
  readonly method?: string;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** 0: as long as the route's deadline allows. */
  readonly timeoutMs?: number;
}

/** The answer; its parts are asked for when they are wanted, until the next fetch. */
export class FetchResult {
  /** 0 when there is no answer: `error` says why. */
  readonly status: number;
  readonly error: string;

  constructor(status: number, error: string) {
    this.status = status;
    this.error = error;
  }

  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  /** `name` in lower case. */
  header(name: string): string | null {
    const value = upstreams.fetchedHeader(name);
    return value === null ? null : textOf(value);
  }

  get body(): string {
    return textOf(upstreams.fetchedBody());
  }

  json(): unknown {
    return JSON.parse(this.body);
  }
}

/** A request of the plugin's own to an upstream that the route's `allow` list holds, in any hook but `onConfigure`. The hook waits here; there is no promise. */
export function fetch(upstream: string, path: string, options?: FetchOptions): FetchResult {
  const handle = upstreams.open(upstream);
  if (handle === null) return new FetchResult(0, `the route does not allow the upstream ${upstream}`);
  for (const [name, value] of Object.entries(options?.headers ?? {})) {
    if (!upstreams.fetchHeader(name, value)) return new FetchResult(0, `the header ${name} was refused`);
  }
  const body = options?.body ?? "";
  const bytes = typeof body === "string" ? bytesOf(body) : body;
  const status = upstreams.fetch(handle, options?.method ?? "GET", path, bytes, options?.timeoutMs ?? 0);
  return new FetchResult(status, status === 0 ? upstreams.fetchedError() : "");
}

/** In `onRequest`, `onRequestBody` or `onConnection`: it goes there. `endpoint`: `address:port`; empty: any of the upstream. */
export function routeTo(upstream: string, endpoint = ""): boolean {
  const handle = upstreams.open(upstream);
  return handle !== null && upstreams.routeTo(handle, endpoint);
}

/** A connection of the plugin's own, in any hook but `onConfigure`: bytes, as they are. What is open when the hook ends is closed. */
export class Connection {
  readonly #number: number;

  constructor(number: number) {
    this.#number = number;
  }

  /** False: it is closed. */
  send(bytes: string | Uint8Array): boolean {
    return upstreams.send(this.#number, typeof bytes === "string" ? bytesOf(bytes) : bytes);
  }

  /** What has come, as soon as there is something; of no bytes: the peer has ended; null: broken, or too late. */
  receive(timeoutMs = 0, bytesMax = 8192): Uint8Array | null {
    return upstreams.receive(this.#number, bytesMax, timeoutMs);
  }

  close(): void {
    upstreams.close(this.#number);
  }
}

/** Null: the route does not allow the upstream, or none of its endpoints takes a connection. */
export function connect(upstream: string, timeoutMs = 0): Connection | null {
  const handle = upstreams.open(upstream);
  const number = handle === null ? null : upstreams.connect(handle, timeoutMs);
  return number === null ? null : new Connection(number);
}
