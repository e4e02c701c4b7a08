/** The gateway that this process takes the place of, as the new one sees it. See protocol.ts for the order of things. */
import { asFd, type Fd } from "#core/brands.ts";
import { assert, defined } from "#core/assert.ts";
import { mainError } from "#core/errors/main.ts";
import { tagged, type Tagged } from "#main/supervisor/tags.ts";
import type { Inheritance } from "#main/supervisor/inheritance.ts";
import { PIN_VERSION } from "#bpf/manager/pinning.ts";
import { receiveDescriptors } from "#sys/descriptors.ts";
import { close } from "#sys/socket.ts";
import type { MapChangeMessage } from "#worker/protocol.ts";
import {
  FD_CHANNEL,
  OUTAGES_VERSION,
  PREDECESSOR_VARIABLE,
  UPGRADE_PROTOCOL,
  type Estate,
  type HandedKernel,
  type ToPredecessor,
  type ToSuccessor,
} from "./protocol.ts";

type Told = "estate" | "control" | "yours";

export class Predecessor {
  readonly pid: number;
  /** Changes that its workers still make. */
  onMapChange: (change: MapChangeMessage) => void = () => {};
  readonly #told = new Map<Told, () => void>();
  #estate: Estate | null = null;
  #gone = false;

  private constructor(pid: number) {
    this.pid = pid;
    process.on("message", this.#onMessage);
    process.once("disconnect", this.#onGone);
  }

  /** Null: this is a start like any other. Takes the variable out of `env`, which children are given. */
  static find(env: NodeJS.ProcessEnv): Predecessor | null {
    const pid = Number(env[PREDECESSOR_VARIABLE] ?? 0);
    delete env[PREDECESSOR_VARIABLE];
    return pid > 0 && process.connected ? new Predecessor(pid) : null;
  }

  /** Says hello and takes what it leaves. Throws PENSTOCK_MAIN_UPGRADE when it dies before. */
  async receive(version: string): Promise<Inheritance> {
    const there = this.#wait("estate");
    this.#say({ type: "hello", protocol: UPGRADE_PROTOCOL, version });
    await there;
    const estate = this.#estate;
    if (estate === null) throw mainError("PENSTOCK_MAIN_UPGRADE", { detail: "the gateway before this one died" });
    return inheritanceOf(estate);
  }

  /** Workers serve here: waits until its control process has ended, so that the store has one writer. */
  async claimControl(): Promise<void> {
    const theirs = this.#wait("control");
    this.#say({ type: "serving" });
    await theirs;
  }

  /** Everything is ready: waits until it has let go. */
  async claimAll(revision: number): Promise<void> {
    const theirs = this.#wait("yours");
    this.#say({ type: "ready", revision });
    await theirs;
  }

  /** This one gives up, and has let go of the store. */
  giveUp(): void {
    this.#say({ type: "failed" });
  }

  /** This process ends: it does not wait for the other one's end. */
  close(): void {
    if (process.connected) process.disconnect?.();
  }

  #wait(what: Told): Promise<void> {
    return new Promise((resolve) => {
      if (this.#gone) resolve();
      else this.#told.set(what, resolve);
    });
  }

  #say(message: ToPredecessor): void {
    if (process.connected) process.send?.(message);
  }

  readonly #onMessage = (message: unknown): void => {
    const told = message as ToSuccessor;
    if (told.type === "map-change") {
      this.onMapChange(told);
      return;
    }
    if (told.type === "estate") this.#estate = told.estate;
    this.#told.get(told.type)?.();
    this.#told.delete(told.type);
  };

  /** It has drained and ended, or died on the way: nobody else is there to wait for. */
  readonly #onGone = (): void => {
    this.#gone = true;
    process.off("message", this.#onMessage);
    for (const resolve of this.#told.values()) resolve();
    this.#told.clear();
  };
}

function inheritanceOf(estate: Estate): Inheritance {
  const received = new Map(receiveDescriptors(asFd(FD_CHANNEL)).map(({ tag, fd }) => [tag, fd]));
  close(asFd(FD_CHANNEL));
  const used = new Map<number, Tagged>();
  const descriptor = (tag: number): Tagged => {
    const known = used.get(tag) ?? tagged(defined(received.get(tag), `descriptor ${tag}`));
    used.set(tag, known);
    return known;
  };
  const named = (tags: ReadonlyMap<string, number>): Map<string, Fd> =>
    new Map(Array.from(tags, ([name, tag]) => [name, descriptor(tag).fd]));
  const listening = (all: Estate["listeners"]): Inheritance["listeners"] =>
    new Map(all.map(({ key, address, tags }) => [key, { address, sockets: tags.map(descriptor) }]));
  const handed = (kernel: HandedKernel | undefined): Inheritance["kernel"] =>
    kernel?.version === PIN_VERSION ? { links: named(kernel.links), maps: named(kernel.maps) } : null;
  const { buckets, tenantMemory } = estate;
  const inheritance: Inheritance = {
    listeners: listening(estate.listeners),
    scriptListeners: listening(estate.scriptListeners),
    admin: estate.admin.map((tag) => descriptor(tag).fd),
    echo: estate.echo === null ? null : descriptor(estate.echo).fd,
    ticketKeys: estate.ticketKeys,
    maps: estate.maps,
    buckets: buckets === undefined ? null : descriptor(buckets).fd,
    tenantMemory:
      tenantMemory === undefined ? null : { file: descriptor(tenantMemory.tag), regions: tenantMemory.regions },
    kernel: handed(estate.kernel),
    scriptKernel: handed(estate.scriptKernel),
    outages: estate.outages?.version === OUTAGES_VERSION ? estate.outages.workers : [],
  };
  for (const [tag, fd] of received) if (!used.has(tag)) close(fd);
  assert(inheritance.admin.length > 0, "the admin socket is handed over");
  return inheritance;
}
