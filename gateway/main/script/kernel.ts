/**
 * Kernel work of scripts, done here on their behalf: workers have neither the privileges nor a descriptor. A worker may name
 * objects that were read with the script, programs in them and places while the script is loaded, and maps of what is
 * loaded; nothing else. Each change is logged.
 *
 * What the script on its way wants is attached when all workers have it, before it is in force; what only the one before
 * wanted comes off behind it. What both want stays as it is.
 */
import { createHash } from "node:crypto";
import { scriptError } from "#core/errors/script.ts";
import { bpf, type Attachment, type LoadedObject } from "#bpf/public/bpf.ts";
import { netlink } from "#bpf/public/netlink.ts";
import { ScriptNetwork } from "./network.ts";
import type { LogSink } from "#main/supervisor/log.ts";
import type { KernelPlace, KernelRequest, ObjectAnswer, ScriptBundle } from "#worker/script/protocol.ts";

/** What one script wants of the kernel. */
interface Wants {
  readonly bundle: ScriptBundle;
  readonly objects: Set<string>;
  readonly places: Map<string, { readonly object: string; readonly program: string; readonly place: KernelPlace }>;
}

export class ScriptKernel {
  readonly #log: LogSink;
  readonly #network: ScriptNetwork;
  readonly #objects = new Map<string, LoadedObject>();
  readonly #attached = new Map<string, Attachment>();
  #current: Wants | null = null;
  #next: Wants | null = null;

  constructor(log: LogSink) {
    this.#log = log;
    this.#network = new ScriptNetwork(log);
  }

  /** A script is about to be loaded. */
  begin(bundle: ScriptBundle): void {
    this.#next = { bundle, objects: new Set(), places: new Map() };
  }

  /** Attaches what it wants and nobody has. Throws PENSTOCK_BPF_*; then `abort`. */
  prepare(): void {
    for (const [key, { object, program, place }] of this.#next?.places ?? []) {
      if (this.#attached.has(key)) continue;
      const attachment = bpf.attach(this.#object(object).program(program), place);
      this.#attached.set(key, attachment);
      this.#log("info", `the script's program ${program} is attached`, { place: attachment.place });
    }
  }

  commit(): void {
    this.#current = this.#next;
    this.#next = null;
    this.#drop();
  }

  abort(): void {
    this.#next = null;
    this.#drop();
  }

  close(): void {
    this.#current = null;
    this.abort();
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

  /** What no script wants goes: attachments first. */
  #drop(): void {
    const kept = [this.#current, this.#next];
    for (const [key, attachment] of this.#attached) {
      if (kept.some((wants) => wants?.places.has(key))) continue;
      this.#attached.delete(key);
      attachment.close();
      this.#log("info", "a program of the script before is off", { place: attachment.place });
    }
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

function listed(kind: (KernelRequest & { op: "list" })["kind"]): unknown {
  const socket = netlink.open();
  try {
    return socket[kind]();
  } finally {
    socket.close();
  }
}
