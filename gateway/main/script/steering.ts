/**
 * Steering for scripts: what `listen(…, { steer })` asks for, in force while the script is. A kernel part of its own, beside
 * the one that configurations declare, with leases that are renewed while a worker serves. Opened when a script first
 * steers, and open from then on: who is steered must be found after a change, too.
 */
import { scriptError } from "#core/errors/script.ts";
import type { HandedDescriptors } from "#bpf/manager/handed-over.ts";
import type { Listeners } from "#main/supervisor/listeners.ts";
import { KernelUpkeep } from "#main/supervisor/kernel-upkeep.ts";
import type { KernelPart, KernelPartStatus } from "#main/supervisor/kernel-part.ts";
import type { LogSink } from "#main/supervisor/log.ts";
import { kernelWanted, openKernel } from "#main/supervisor/managed-kernel.ts";
import { NO_PINS } from "#main/supervisor/pin-place.ts";
import { tagged, type Tagged } from "#main/supervisor/tags.ts";
import type { Workers } from "#main/supervisor/workers.ts";
import type { ListenerSpec } from "#snapshot/snapshot.ts";
import type { ScriptListen } from "#worker/script/protocol.ts";

/** Of what is a script's own. */
export type ScriptKernelStatus = Pick<KernelPartStatus, "facts" | "programs" | "counters">;

/** The records of connections that are open. */
type Handed = HandedDescriptors["maps"];
const NOTHING: Handed = new Map();

export class ScriptSteering {
  readonly #workers: Workers;
  readonly #log: LogSink;
  #kernel: KernelPart | null = null;
  #upkeep: KernelUpkeep | null = null;
  #originals: Tagged | null = null;
  /** What was said last of what is in force. */
  #said = "";

  /** What the gateway before this one steered, whose place it takes; until it is asked for. */
  #inherited: Handed | null;

  constructor(workers: Workers, log: LogSink, inherited: Handed = NOTHING) {
    this.#workers = workers;
    this.#log = log;
    this.#inherited = inherited.size === 0 ? null : inherited;
  }

  /** Programs are verified, nothing is attached. `specs` of `listens`, prepared by `listeners`. Throws what is in the way. */
  prepare(listens: readonly ScriptListen[], specs: readonly ListenerSpec[], listeners: Listeners): void {
    const steering = listens.flatMap(({ steer, protocol }, listener) =>
      steer === null ? [] : [{ ...steer, protocol, listener }],
    );
    if (steering.length === 0 && this.#kernel === null && this.#inherited === null) return;
    const kernel = this.#open();
    const { grants } = listeners.grants(specs, 0);
    const bound = specs.map(({ name }, index) => ({
      name,
      addresses: grants.filter((grant) => grant.index === index).map(({ address }) => address),
      sockets: [],
      allSockets: [],
    }));
    kernel.prepare({ maps: [], kernel: { interfaces: [], steering }, listeners: bound });
    const fd = kernel.originalsFd();
    if (fd !== null) this.#originals ??= tagged(fd);
  }

  /** Where steered clients wanted to go, for workers to read; null: none ever was. */
  get originals(): Tagged | null {
    return this.#originals;
  }

  /** Attached. Throws what is in the way; then all is as it was. */
  commit(): void {
    if (this.#kernel === null) return;
    this.#kernel.commit();
    this.#upkeep?.refresh();
    const facts = this.#kernel.status().facts.map((fact) => fact.replace(/, lease .*/, ""));
    const said = facts.join("; ");
    if (said !== this.#said)
      this.#log("info", said === "" ? "the script steers nobody any more" : `the script steers ${said}`);
    this.#said = said;
  }

  abort(): void {
    this.#kernel?.abort();
  }

  status(): ScriptKernelStatus {
    const { facts, programs, counters } = this.#kernel?.status() ?? { facts: [], programs: [], counters: [] };
    return { facts, programs: programs.filter(({ foreign }) => !foreign), counters };
  }

  /** Both gateways have programs on the cgroup for a while: the one that comes first turns clients, and both know where they wanted to go. */
  handOver(): Handed {
    return this.#kernel?.handOver().maps ?? NOTHING;
  }

  close(): void {
    this.#upkeep?.stop();
    this.#kernel?.close();
    this.#kernel = null;
    this.#originals = null;
  }

  #open(): KernelPart {
    if (this.#kernel !== null) return this.#kernel;
    const inherited = this.#inherited === null ? null : { links: new Map(), maps: this.#inherited };
    const kernel = openKernel(kernelWanted(), NO_PINS, inherited);
    const { active, notes } = kernel.status();
    if (!active) throw scriptError("PENSTOCK_SCRIPT_KERNEL", { detail: `nothing can be steered: ${notes.join("; ")}` });
    this.#inherited = null;
    this.#upkeep = new KernelUpkeep(kernel, this.#workers);
    this.#kernel = kernel;
    return kernel;
  }
}
