/**
 * Kernel work of scripts, done here on their behalf: workers have neither the privileges nor a descriptor. A worker may name
 * objects that were read with the script, programs in them and places while the script is loaded, and maps of what is
 * loaded; nothing else. Each change is logged.
 *
 * What the script on its way wants is attached when all workers have it, before it is in force; what only the one before
 * wanted comes off behind it (attachments.ts). What both want stays as it is.
 */
import { createHash } from "node:crypto";
import { scriptError } from "#core/errors/script.ts";
import type { Fd } from "#core/brands.ts";
import type { HandedOver } from "#bpf/manager/handed-over.ts";
import { bpf, type LoadedObject } from "#bpf/public/bpf.ts";
import { netlink } from "#bpf/public/netlink.ts";
import { ScriptAttachments, type WantedPlace } from "./attachments.ts";
import { ScriptNetwork } from "./network.ts";
import type { LogSink } from "#main/supervisor/log.ts";
import type { KernelRequest, ObjectAnswer, ScriptBundle } from "#worker/script/protocol.ts";

/** What one script wants of the kernel. */
interface Wants {
  readonly bundle: ScriptBundle;
  readonly objects: Set<string>;
  readonly places: Map<string, WantedPlace>;
}

export class ScriptKernel {
  readonly #log: LogSink;
  readonly #network: ScriptNetwork;
  readonly #objects = new Map<string, LoadedObject>();
  readonly #attachments: ScriptAttachments;
  #current: Wants | null = null;
  #next: Wants | null = null;

  /** `inherited`: links of the gateway that this one takes the place of. */
  constructor(log: LogSink, inherited: HandedOver | null) {
    this.#log = log;
    this.#attachments = new ScriptAttachments(log, inherited);
    this.#network = new ScriptNetwork(log);
  }

  /** A script is about to be loaded. */
  begin(bundle: ScriptBundle): void {
    this.#next = { bundle, objects: new Set(), places: new Map() };
  }

  /** Attaches what it wants and nobody has. Throws PENSTOCK_BPF_*; then `abort`. */
  prepare(): void {
    if (this.#next === null) return;
    this.#attachments.prepare(this.#next.places, ({ object, program }) => this.#object(object).program(program));
  }

  commit(): void {
    this.#current = this.#next;
    this.#next = null;
    this.#attachments.commit(this.#current?.places ?? new Map());
    this.#drop();
  }

  abort(): void {
    this.#next = null;
    this.#attachments.abort();
    this.#drop();
  }

  programs(): ReturnType<ScriptAttachments["programs"]> {
    return this.#attachments.programs();
  }

  handOver(): Map<string, Fd> {
    return this.#attachments.handOver();
  }

  takeBack(): void {
    this.#attachments.takeBack();
  }

  close(): void {
    this.#attachments.close();
    this.#current = null;
    this.#next = null;
    this.#drop();
  }

  /** Throws with the reason, which the script gets. */
  serve(request: Exclude<KernelRequest, { op: "exec" | "end" }>): unknown {
    switch (request.op) {
      case "object":
        return this.#load(request.path, request.globals ?? {});
      case "attach":
        return this.#attach(request);
      case "entries":
        return this.#object(request.object).map(request.map).entries(request.limit);
      case "get":
        return this.#object(request.object).map(request.map).get(valueOf(request.key));
      case "set":
        return this.#object(request.object).map(request.map).set(valueOf(request.key), valueOf(request.value));
      case "delete":
        return this.#object(request.object).map(request.map).delete(valueOf(request.key));
      case "list":
        return listed(request.kind);
      case "network":
      case "link":
      case "netlink":
        return this.#network.serve(request, this.#wants().bundle.changesNetwork);
    }
  }

  #load(path: string, globals: Readonly<Record<string, unknown>>): ObjectAnswer {
    const wants = this.#wants();
    const url = new URL(path, wants.bundle.entry).href;
    const file = wants.bundle.files.find((one) => one.url === url);
    if (file === undefined)
      throw scriptError("PENSTOCK_SCRIPT_KERNEL", { detail: `${path} was not read with the script` });
    const values = JSON.stringify(globals, (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value));
    const key = createHash("sha256").update(file.bytes).update(values).digest("hex");
    wants.objects.add(key);
    const known = this.#objects.get(key);
    const loaded = known ?? bpf.object(file.bytes).load({ globals: globals as Record<string, Uint8Array> });
    if (known === undefined) this.#log("info", "an object of the script is loaded", { path });
    this.#objects.set(key, loaded);
    const { spec } = loaded.collection;
    return { object: key, programs: [...spec.programs.keys()], maps: [...spec.maps.keys()] };
  }

  #attach({ object, program, place }: KernelRequest & { op: "attach" }): undefined {
    this.#object(object).program(program);
    const key = JSON.stringify([object, program, place]);
    // A worker that begins anew asks for what it has.
    if (this.#next === null && this.#current?.places.has(key) === true) return undefined;
    if (this.#next === null)
      throw scriptError("PENSTOCK_SCRIPT_KERNEL", { detail: "programs are attached while the script is loaded" });
    this.#next.places.set(key, { object, program, place });
    return undefined;
  }

  #wants(): Wants {
    const wants = this.#next ?? this.#current;
    if (wants === null) throw scriptError("PENSTOCK_SCRIPT_KERNEL", { detail: "no script is loaded" });
    return wants;
  }

  #object(key: string): LoadedObject {
    const object = this.#objects.get(key);
    if (object === undefined)
      throw scriptError("PENSTOCK_SCRIPT_KERNEL", { detail: "this object is not loaded any more" });
    return object;
  }

  /** Objects that no script wants go, once their programs are off. */
  #drop(): void {
    const kept = [this.#current, this.#next];
    for (const [key, object] of this.#objects) {
      if (kept.some((wants) => wants?.objects.has(key))) continue;
      this.#objects.delete(key);
      object.close();
    }
  }
}

type MapKey = Parameters<ReturnType<LoadedObject["map"]>["get"]>[0];

/** What came over the channel is plain; whether it fits the map's types is judged by their codec. */
function valueOf(value: unknown): MapKey {
  return value as MapKey;
}

const LISTS: readonly string[] = ["links", "addresses", "routes", "neighbours"];

/** The name comes from a worker, which may be in other hands by now. */
function listed(kind: (KernelRequest & { op: "list" })["kind"]): unknown {
  if (!LISTS.includes(kind))
    throw scriptError("PENSTOCK_SCRIPT_KERNEL", { detail: `${kind} is no list: ${LISTS.join(", ")}` });
  const socket = netlink.open();
  try {
    return socket[kind]();
  } finally {
    socket.close();
  }
}
