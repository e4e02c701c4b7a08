/**
 * Datagrams in the fake network: each travels by itself, so they overtake each other where the world hesitates. One that is
 * sent to nobody comes back to a connected socket as ECONNREFUSED, as ICMP would have it.
 */
import { formatAddress, parseAddress } from "#core/address.ts";
import type { Fd } from "#core/brands.ts";
import { ECONNREFUSED } from "#core/errno.ts";
import {
  ADDRESS_BYTES,
  DATAGRAM_BYTES_MAX,
  LOCAL_BYTES,
  type DatagramHandler,
  type DatagramSocket,
} from "#io/datagram.ts";
import type { World } from "./world.ts";

/** Plays an upstream: `reply` sends back to where the datagram came from. */
export type DatagramService = (bytes: Uint8Array, reply: (bytes: Uint8Array) => void) => void;

/** Behind the datagram that is delivered: one that is about to be sent. */
const STAGE_AT = ADDRESS_BYTES + LOCAL_BYTES + DATAGRAM_BYTES_MAX;

export class FakeDatagramNetwork {
  readonly #world: World;
  readonly #dispatched: () => void;
  readonly #services = new Map<string, DatagramService>();
  readonly #bound = new Map<Fd, FakeDatagrams>();
  /** Who waits for what is sent to a client's address. */
  readonly #clients = new Map<string, (bytes: Uint8Array) => void>();
  /** One datagram at a time, as it is delivered. */
  readonly memory = new Uint8Array(STAGE_AT + DATAGRAM_BYTES_MAX);

  /** `dispatched` is called for each callback made. */
  constructor(world: World, dispatched: () => void) {
    this.#world = world;
    this.#dispatched = dispatched;
  }

  serve(address: string, service: DatagramService | null): void {
    const text = formatAddress(parseAddress(address));
    if (service === null) this.#services.delete(text);
    else this.#services.set(text, service);
  }

  bound(fd: Fd, handler: DatagramHandler): DatagramSocket {
    const socket = new FakeDatagrams(this, fd, null, handler, () => this.#bound.delete(fd));
    this.#bound.set(fd, socket);
    return socket;
  }

  connected(fd: Fd, address: Uint8Array, handler: DatagramHandler): DatagramSocket {
    return new FakeDatagrams(this, fd, formatAddress(address), handler, () => {});
  }

  toBound(fd: Fd, bytes: Uint8Array, from: string, reply: (bytes: Uint8Array) => void): void {
    const client = formatAddress(parseAddress(from));
    this.#clients.set(client, reply);
    const copy = bytes.slice();
    this.#later(() => this.#bound.get(fd)?.deliver(copy, parseAddress(client)));
  }

  toClient(address: Uint8Array, bytes: Uint8Array): void {
    const copy = bytes.slice();
    this.#later(() => this.#clients.get(formatAddress(address))?.(copy));
  }

  toService(address: string, socket: FakeDatagrams, bytes: Uint8Array): void {
    const copy = bytes.slice();
    this.#later(() => {
      const service = this.#services.get(address);
      if (service === undefined) this.#later(() => socket.refuse(ECONNREFUSED));
      else
        service(copy, (answer) => {
          const back = answer.slice();
          this.#later(() => socket.deliver(back, parseAddress(address)));
        });
    });
  }

  callback(): void {
    this.#dispatched();
  }

  #later(run: () => void): void {
    this.#world.schedule.add(this.#world.arrivalMs(), run);
  }
}

class FakeDatagrams implements DatagramSocket {
  readonly fd: Fd;
  readonly memory: Uint8Array;
  readonly addressStart = 0;
  readonly localStart = ADDRESS_BYTES;
  readonly start = ADDRESS_BYTES + LOCAL_BYTES;
  end = 0;
  addressBytes = 0;
  readonly #network: FakeDatagramNetwork;
  readonly #peer: string | null;
  readonly #handler: DatagramHandler;
  readonly #closed: () => void;
  #open = true;

  constructor(network: FakeDatagramNetwork, fd: Fd, peer: string | null, handler: DatagramHandler, closed: () => void) {
    this.#network = network;
    this.fd = fd;
    this.memory = network.memory;
    this.#peer = peer;
    this.#handler = handler;
    this.#closed = closed;
  }

  stage(bytes: Uint8Array): number {
    this.memory.set(bytes, STAGE_AT);
    return STAGE_AT;
  }

  send(from: DatagramSocket, start: number, end: number): number {
    this.#network.toService(this.#peer ?? "", this, from.memory.subarray(start, end));
    return end - start;
  }

  sendTo(from: DatagramSocket, start: number, end: number, to: Uint8Array): number {
    this.#network.toClient(to, from.memory.subarray(start, end));
    return end - start;
  }

  deliver(bytes: Uint8Array, address: Uint8Array): void {
    if (!this.#open) return;
    this.memory.fill(0, 0, this.start);
    this.memory.set(address, 0);
    this.memory.set(bytes, this.start);
    this.addressBytes = address.length;
    this.end = this.start + bytes.length;
    this.#network.callback();
    this.#handler.onDatagram(this);
  }

  refuse(error: number): void {
    if (!this.#open) return;
    this.#network.callback();
    this.#handler.onDatagramError(this, error);
  }

  close(): void {
    this.#open = false;
    this.#closed();
  }
}
