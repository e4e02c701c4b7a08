/**
 * Where programs of scripts are attached. A script's place stays as it is while its successor wants the same there; where that
 * wants another program of the same name, it is put in the place of the one before in one step, and put back when the
 * successor is refused. Links of the gateway before this one are taken over the same way.
 */
import type { KernelStatus } from "#control/gateway-status.ts";
import type { Fd } from "#core/brands.ts";
import type { HandedOver } from "#bpf/manager/handed-over.ts";
import { Link } from "#bpf/kernel/link.ts";
import type { Program } from "#bpf/kernel/program.ts";
import { bpf, type Attachment } from "#bpf/public/bpf.ts";
import type { LogSink } from "#main/supervisor/log.ts";
import type { KernelPlace } from "#worker/script/protocol.ts";

/** A program of an object, both by name, and where. */
export interface WantedPlace {
  readonly object: string;
  readonly program: string;
  readonly place: KernelPlace;
}

/** Of those whose program can be replaced. */
type Replaceable = Attached & { readonly attachment: Link };

interface Attached {
  /** Of what was wanted: object, program and place. */
  readonly key: string;
  /** The same without the object. */
  readonly spot: string;
  readonly program: Program;
  readonly attachment: Attachment;
}

export type Places = ReadonlyMap<string, WantedPlace>;

export class ScriptAttachments {
  readonly #log: LogSink;
  readonly #inherited: HandedOver | null;
  #attached = new Map<string, Attached>();
  /** Since `prepare`: what is new, and what it stands in the place of. */
  #changes: { readonly now: Attached; readonly before: Replaceable | null }[] = [];

  /** `inherited`: by what `handOver` says. */
  constructor(log: LogSink, inherited: HandedOver | null) {
    this.#log = log;
    this.#inherited = inherited;
  }

  /** Attaches what nobody has. Throws PENSTOCK_BPF_*; then `abort`. */
  prepare(places: Places, programOf: (wanted: WantedPlace) => Program): void {
    for (const [key, wanted] of places) {
      if (this.#attached.has(key)) continue;
      const program = programOf(wanted);
      const spot = JSON.stringify([wanted.program, wanted.place]);
      const before = this.#replaceable(spot, places);
      const now = { key, spot, program, attachment: this.#attach(program, wanted, spot, before) };
      if (before !== null) this.#attached.delete(before.key);
      this.#attached.set(key, now);
      this.#changes.push({ now, before });
      this.#log("info", `the script's program ${wanted.program} is attached`, { place: now.attachment.place });
    }
  }

  #attach(program: Program, { place }: WantedPlace, spot: string, before: Replaceable | null): Attachment {
    const link = before?.attachment ?? this.#inherited?.link(nameOf(spot));
    if (link === undefined || link === null) return bpf.attach(program, place);
    link.update(program, before?.program ?? null);
    return link;
  }

  /** What is there, and not wanted any more. */
  #replaceable(spot: string, places: Places): Replaceable | null {
    for (const one of this.#links()) if (one.spot === spot && !places.has(one.key)) return one;
    return null;
  }

  #links(): Replaceable[] {
    return [...this.#attached.values()].filter(isReplaceable);
  }

  /** What is not among these comes off. */
  commit(places: Places): void {
    this.#changes = [];
    this.#inherited?.close();
    for (const one of this.#attached.values()) if (!places.has(one.key)) this.#off(one);
  }

  abort(): void {
    for (const { now, before } of this.#changes.splice(0).toReversed()) {
      this.#attached.delete(now.key);
      if (before === null) now.attachment.close();
      else {
        before.attachment.update(before.program, now.program);
        this.#attached.set(before.key, before);
      }
    }
  }

  #off(one: Attached): void {
    this.#attached.delete(one.key);
    one.attachment.close();
    this.#log("info", "a program of the script before is off", { place: one.attachment.place });
  }

  /** For the status: what is attached, and where. */
  programs(): KernelStatus["programs"] {
    return Array.from(this.#attached.values(), ({ program, attachment }) => ({
      name: program.name,
      attachedTo: attachment.place,
      programId: program.info().id,
      linkId: attachment instanceof Link ? attachment.info().id : 0,
      foreign: false,
    }));
  }

  /** Links, which a successor takes over; lent. */
  handOver(): Map<string, Fd> {
    return new Map(this.#links().map(({ spot, attachment }) => [nameOf(spot), attachment.fd]));
  }

  /** A successor has failed: what it may have put in our programs' places is replaced by them. */
  takeBack(): void {
    for (const { program, attachment } of this.#links()) attachment.update(program, null);
  }

  close(): void {
    this.abort();
    this.#inherited?.close();
    for (const one of this.#attached.values()) one.attachment.close();
    this.#attached.clear();
  }
}

function nameOf(spot: string): string {
  return `script ${spot}`;
}

/** XDP, cgroups and network namespaces: tracepoints have links, too, but theirs keep their program. */
function isReplaceable(one: Attached): one is Replaceable {
  return one.attachment instanceof Link && /"(?:device|cgroup|netns)":/.test(one.spot);
}
