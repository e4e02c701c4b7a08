/** The fake driver's network as the contract wants it. */
import { parseAddress } from "#core/address.ts";
import { createArena } from "#io/arena.ts";
import { createFakeDriver, type FakeDriver } from "#io/fake/driver.ts";
import type { Faults } from "#io/fake/faults.ts";
import type { FakePeer, PeerHandler } from "#io/fake/peer.ts";
import {
  type Kind,
  type Network,
  type Place,
  Received,
  type Remote,
  type Service,
  type Signal,
} from "./driver.network.ts";

class SimulatedRemote implements Remote, PeerHandler {
  readonly received = new Received();
  ended = false;
  broken = false;
  peer: FakePeer | null = null;

  write(bytes: Uint8Array): void {
    this.peer?.write(bytes);
  }
  end(): void {
    this.peer?.end();
  }
  reset(): void {
    this.peer?.reset();
  }
  pause(): void {
    this.peer?.pause();
  }
  resume(): void {
    this.peer?.resume();
  }
  onData(_peer: FakePeer, bytes: Uint8Array): void {
    this.received.add(bytes);
  }
  onEnd(): void {
    this.ended = true;
  }
  onReset(): void {
    this.broken = true;
  }
}

export class SimulatedNetwork implements Network {
  readonly driver: FakeDriver;
  #places = 0;

  constructor(arenaBytes: number, seed: number, faults: Partial<Faults>) {
    this.driver = createFakeDriver({ arena: createArena(arenaBytes), seed, faults });
  }

  listen(kind: Kind): Place {
    return { fd: this.driver.listen(), address: this.nowhere(kind) };
  }

  dial(place: Place): Remote {
    const remote = new SimulatedRemote();
    remote.peer = this.driver.dial(place.fd, remote);
    return remote;
  }

  async serve(kind: Kind): Promise<Service> {
    const remotes: Remote[] = [];
    const text = this.#newText(kind);
    this.driver.serve(text, (peer) => {
      const remote = new SimulatedRemote();
      remote.peer = peer;
      remotes.push(remote);
      return remote;
    });
    return { address: parseAddress(text), remotes };
  }

  nowhere(kind: Kind): Uint8Array {
    return parseAddress(this.#newText(kind));
  }

  silent(): Uint8Array {
    const text = this.#newText("tcp");
    this.driver.silence(text);
    return parseAddress(text);
  }

  exhaust(): () => void {
    const before = this.driver.faults;
    this.driver.faults = { acceptError: 1 };
    return () => {
      this.driver.faults = before;
    };
  }

  signal(): Signal {
    const fd = this.driver.listen();
    return {
      fd,
      raise: () => this.driver.setReadable(fd, true),
      lower: () => this.driver.setReadable(fd, false),
    };
  }

  nowMs(): number {
    return this.driver.nowMs;
  }

  /** Its other ends live in the turns. */
  async breathe(): Promise<void> {}

  descriptors(): number {
    return 0;
  }

  async close(): Promise<void> {}

  #newText(kind: Kind): string {
    this.#places++;
    return kind === "tcp" ? `127.0.0.1:${this.#places}` : `unix:/simulated/${this.#places}`;
  }
}
