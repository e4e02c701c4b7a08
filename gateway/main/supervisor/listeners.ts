/**
 * The listening sockets of the data plane, one for each address and worker, open over the lives of workers: what has
 * queued at a dead worker's socket waits for its successor. Owns the descriptors; workers get copies.
 *
 * A change has two phases. `prepare` opens what is missing and touches nothing in use; then `commit` closes what is no
 * longer named, or `abort` closes what was opened.
 */
import { formatAddress, parseAddress, portOf } from "#core/address.ts";
import type { Fd } from "#core/brands.ts";
import type { ListenerStatus } from "#control/gateway-status.ts";
import type { ListenerSpec } from "#snapshot/snapshot.ts";
import type { ListenerGrant } from "#worker/protocol.ts";
import { close, getsockname } from "#sys/socket.ts";
import {
  addressesOf,
  assertFree,
  boundAddress,
  listenOn,
  transportOf,
  unixPath,
  withPort,
  type Transport,
} from "./listening-socket.ts";
import { tagged } from "./tags.ts";
import type { Tagged } from "./tags.ts";

/** One address, with a socket for each worker; a Unix socket has one for all. */
export interface Bound {
  /** With the real port. */
  readonly address: string;
  readonly sockets: readonly Tagged[];
}

export class Listeners {
  readonly #workers: number;
  /** By `key`. */
  #bound = new Map<string, Bound>();
  #prepared: Map<string, Bound> | null = null;
  /** Workers of a gateway that died here may still hold its addresses while they drain: shared with them, not refused. */
  readonly #takeOver: boolean;
  /** Listeners that are gone on without, by name. */
  readonly #problems = new Map<string, string>();

  /** `inherited`: of the gateway that this one takes the place of, by key; what no snapshot names goes with the first one. */
  constructor(workers: number, takeOver = false, inherited: ReadonlyMap<string, Bound> = new Map()) {
    this.#workers = workers;
    this.#takeOver = takeOver;
    for (const [key, bound] of inherited) this.#bound.set(key, this.#shareOut(key, bound));
  }

  /** There may be more workers than there were. Where there are fewer, some accept from more than one socket. */
  #shareOut(key: string, { address, sockets }: Bound): Bound {
    const [first] = sockets;
    const transport = transportOfKey(key);
    const all = [...sockets];
    while (first !== undefined && all.length < this.#workers) {
      all.push(unixPath(address) === null ? tagged(listenOn(address, "shared", transport)) : first);
    }
    return { address, sockets: all };
  }

  /** What a successor needs of the listeners in force. */
  estate(): ReadonlyMap<string, Bound> {
    return this.#bound;
  }

  /**
   * Opens what `specs` name and is not open yet; null. Or is as before, and answers which one could not be opened, and why;
   * unless it is told to go on without those, which `addresses` then tells.
   */
  prepare(specs: readonly ListenerSpec[], goOn = false): { readonly index: number; readonly error: string } | null {
    const next = new Map<string, Bound>();
    this.#prepared = next;
    this.#problems.clear();
    const named = new Set(specs.flatMap((spec) => addressesOf(spec).map((address) => keyOf(spec, address))));
    for (const [index, spec] of specs.entries()) {
      try {
        this.#prepareOne(spec, next, named);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        if (!goOn) {
          this.abort();
          return { index, error: why };
        }
        this.#problems.set(spec.name, why);
      }
    }
    return null;
  }

  #prepareOne(spec: ListenerSpec, next: Map<string, Bound>, named: ReadonlySet<string>): void {
    let port: number | null = null;
    for (const address of addressesOf(spec)) {
      const key = keyOf(spec, address);
      const bound =
        this.#bound.get(key) ??
        next.get(key) ??
        this.#leftAt(address, transportOf(spec), named) ??
        this.#open(port === null ? address : withPort(address, port), transportOf(spec));
      next.set(key, bound);
      // The second address of a transparent listener has the port of the first, also where 0 was asked for.
      const first = bound.sockets[0];
      if (spec.transparent && first !== undefined) port = portOf(getsockname(first.fd));
    }
  }

  /** What is bound to this very address under another key that is named no more: port 0, when the port it got is asked for now. */
  #leftAt(address: string, transport: Transport, named: ReadonlySet<string>): Bound | undefined {
    const wanted = formatAddress(parseAddress(address));
    for (const [key, bound] of this.#bound) {
      if (bound.address === wanted && transportOfKey(key) === transport && !named.has(key)) return bound;
    }
    return undefined;
  }

  #open(address: string, transport: Transport): Bound {
    if (!this.#takeOver) assertFree(address, transport);
    const shared = unixPath(address) !== null;
    const sockets: Tagged[] = [];
    try {
      const first = tagged(listenOn(address, "shared", transport));
      sockets.push(first);
      const bound = boundAddress(first.fd);
      for (let worker = 1; worker < this.#workers; worker++) {
        sockets.push(shared ? first : tagged(listenOn(bound, "shared", transport)));
      }
      return { address: bound, sockets };
    } catch (error) {
      closeAll(sockets);
      throw error;
    }
  }

  /** What worker `slot` accepts from under the prepared specs, or under those in force. */
  grants(specs: readonly ListenerSpec[], slot: number): { grants: ListenerGrant[]; descriptors: Tagged[] } {
    const from = this.#prepared ?? this.#bound;
    const grants: ListenerGrant[] = [];
    const descriptors: Tagged[] = [];
    specs.forEach((spec, index) => {
      for (const address of addressesOf(spec)) {
        const bound = from.get(keyOf(spec, address));
        if (bound === undefined) continue;
        for (const own of new Set(bound.sockets.filter((_, i) => i % this.#workers === slot))) {
          grants.push({ index, name: spec.name, address: bound.address, fdTag: own.tag });
          descriptors.push(own);
        }
      }
    });
    return { grants, descriptors };
  }

  /** Of a listener, those of all workers. Lent. */
  socketsOf(specs: readonly ListenerSpec[], index: number): Fd[] {
    const from = this.#prepared ?? this.#bound;
    const spec = specs[index];
    const bound = spec === undefined ? [] : addressesOf(spec).map((address) => from.get(keyOf(spec, address)));
    return [...new Set(bound.flatMap((each) => each?.sockets.map(({ fd }) => fd) ?? []))];
  }

  commit(): void {
    if (this.#prepared === null) return;
    closeMissing(this.#bound, this.#prepared);
    this.#bound = this.#prepared;
    this.#prepared = null;
  }

  abort(): void {
    if (this.#prepared === null) return;
    closeMissing(this.#prepared, this.#bound);
    this.#prepared = null;
  }

  /** Name and address as bound, of the listeners in force; of those that could not be opened, why. */
  addresses(specs: readonly ListenerSpec[]): ListenerStatus[] {
    return specs.flatMap((spec) => {
      const error = this.#problems.get(spec.name);
      if (error !== undefined) return [{ name: spec.name, address: spec.address, error }];
      return addressesOf(spec).flatMap((address) => {
        const bound = this.#bound.get(keyOf(spec, address));
        return bound === undefined ? [] : [{ name: spec.name, address: bound.address }];
      });
    });
  }

  /** Closes everything: what is still queued is reset. */
  close(): void {
    this.abort();
    closeMissing(this.#bound, new Map());
    this.#bound = new Map();
  }
}

/** A listener may change its name and keep its sockets; with port 0 the name is all that tells two of them apart. */
function keyOf(spec: ListenerSpec, address: string): string {
  const place = address.endsWith(":0") ? `${address} ${spec.name}` : address;
  return spec.protocol === "udp" ? `${place}${DATAGRAM_MARK}` : place;
}

const DATAGRAM_MARK = " udp";

function transportOfKey(key: string): Transport {
  return key.endsWith(DATAGRAM_MARK) ? "datagram" : "stream";
}

/** Closes what `from` has and `kept` has not. */
function closeMissing(from: ReadonlyMap<string, Bound>, kept: ReadonlyMap<string, Bound>): void {
  const staying = new Set(kept.values());
  for (const bound of from.values()) if (!staying.has(bound)) closeAll(bound.sockets);
}

function closeAll(sockets: readonly Tagged[]): void {
  for (const fd of new Set(sockets.map((socket) => socket.fd))) close(fd);
}
