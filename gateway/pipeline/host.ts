/**
 * What a script asks of the gateway that runs it, beyond streams: work in the kernel, which needs privileges that no worker
 * has, and to be read again or ended. The supervisor does it on the script's behalf, and logs each time that it does.
 *
 *     const counter = await kernel.object("./counter.o")          loaded and verified; maps are made, nothing is attached
 *     counter.attach("counter", { device: "eth0" })               attached when the script is in force, off when it is not any more
 *     await counter.map("counter_sources").entries(10)
 *
 * A script holds no descriptor, of a program or a map. Objects are those that lie beside it, their paths written out: they
 * were read with it. All workers share what is loaded and attached; the next script takes over what it names too.
 */
import type { LinkSetting, NetworkKind, NetworkRequest, NetworkThings } from "./network.ts";
import { pipelineError } from "#core/errors/pipeline.ts";

/** Where a program is attached; see `bpf.attach`. */
export type KernelPlace =
  | {
      readonly device: string;
      readonly hook?: "xdp" | "ingress" | "egress";
      readonly mode?: "native" | "generic" | "auto";
    }
  | { readonly cgroup: string }
  | { readonly netns: string }
  | { readonly tracepoint: string }
  | { readonly rawTracepoint: string };

/** Plain objects by the map's types (BTF): numbers, bigints, text, arrays, objects. */
export type KernelValue = unknown;

export type KernelRequest =
  | { readonly op: "object"; readonly path: string; readonly globals?: Readonly<Record<string, KernelValue>> }
  | { readonly op: "attach"; readonly object: string; readonly program: string; readonly place: KernelPlace }
  | { readonly op: "entries"; readonly object: string; readonly map: string; readonly limit?: number }
  | { readonly op: "get" | "delete"; readonly object: string; readonly map: string; readonly key: KernelValue }
  | {
      readonly op: "set";
      readonly object: string;
      readonly map: string;
      readonly key: KernelValue;
      readonly value: KernelValue;
    }
  /** `run`: the asker's number for it. */
  | { readonly op: "exec"; readonly command: string; readonly run: number }
  | { readonly op: "end"; readonly run: number }
  | NetworkRequest
  | { readonly op: "list"; readonly kind: "links" | "addresses" | "routes" | "neighbours" };

export interface ObjectAnswer {
  readonly object: string;
  readonly programs: readonly string[];
  readonly maps: readonly string[];
}

export interface ScriptGateway {
  /** Rejects with the supervisor's reason. */
  kernel(request: KernelRequest): Promise<unknown>;
  wish(wish: "reload" | "exit"): void;
}

let gateway: ScriptGateway | null = null;

/** Once a worker. */
export function setGateway(one: ScriptGateway): void {
  gateway = one;
}

function theGateway(what: string): ScriptGateway {
  if (gateway === null) throw pipelineError("PENSTOCK_PIPELINE_OUTSIDE", { detail: what });
  return gateway;
}

/** For filters. Rejects with the supervisor's reason. Throws PENSTOCK_PIPELINE_OUTSIDE. */
export function askSupervisor(what: string, request: KernelRequest): Promise<unknown> {
  return theGateway(what).kernel(request);
}

/** Has the script read again, as SIGHUP does. */
export function reload(): void {
  theGateway("reload").wish("reload");
}

/** Ends the gateway in order, as SIGTERM does. */
export function exit(): void {
  theGateway("exit").wish("exit");
}

export class KernelMap {
  readonly #object: string;
  readonly #map: string;

  constructor(object: string, map: string) {
    this.#object = object;
    this.#map = map;
  }

  /** Pairs of key and value, at most `limit`. Per-CPU values come as an array. */
  async entries(limit?: number): Promise<[key: KernelValue, value: KernelValue][]> {
    const [object, map] = [this.#object, this.#map];
    const bound = limit === undefined ? {} : { limit };
    return (await theGateway("kernel").kernel({ op: "entries", object, map, ...bound })) as [
      KernelValue,
      KernelValue,
    ][];
  }

  get(key: KernelValue): Promise<KernelValue> {
    return theGateway("kernel").kernel({ op: "get", object: this.#object, map: this.#map, key });
  }

  async set(key: KernelValue, value: KernelValue): Promise<void> {
    await theGateway("kernel").kernel({ op: "set", object: this.#object, map: this.#map, key, value });
  }

  /** False: it was not there. */
  async delete(key: KernelValue): Promise<boolean> {
    return (await theGateway("kernel").kernel({ op: "delete", object: this.#object, map: this.#map, key })) as boolean;
  }
}

export class KernelObject {
  readonly #answer: ObjectAnswer;

  constructor(answer: ObjectAnswer) {
    this.#answer = answer;
  }

  get programs(): readonly string[] {
    return this.#answer.programs;
  }

  get maps(): readonly string[] {
    return this.#answer.maps;
  }

  /** While the script is loaded: the program is attached once all workers could load it. */
  async attach(program: string, place: KernelPlace): Promise<void> {
    await theGateway("kernel").kernel({ op: "attach", object: this.#answer.object, program, place });
  }

  map(name: string): KernelMap {
    return new KernelMap(this.#answer.object, name);
  }
}

async function object(
  path: string,
  options: { readonly globals?: Readonly<Record<string, KernelValue>> } = {},
): Promise<KernelObject> {
  const answer = await theGateway("kernel").kernel({ op: "object", path, ...options });
  return new KernelObject(answer as ObjectAnswer);
}

/** What netlink lists: links, addresses, routes or neighbours of the gateway's network namespace. */
async function list(kind: "links" | "addresses" | "routes" | "neighbours"): Promise<readonly KernelValue[]> {
  return (await theGateway("kernel").kernel({ op: "list", kind })) as readonly KernelValue[];
}

/**
 * Changes what netlink lists, in the gateway's network namespace: `kernel.add("route", { destination: "198.51.100.0/24", gateway: "10.0.0.1" })`.
 * The supervisor does it, for scripts whose text says `kernel.add` and its like, and logs it. Rejects with the kernel's reason.
 */
async function add<K extends NetworkKind>(kind: K, value: NetworkThings[K]): Promise<void> {
  await askSupervisor("kernel.add", { op: "network", verb: "add", kind, value });
}

/** The same; what is there already is replaced. */
async function replace<K extends NetworkKind>(kind: K, value: NetworkThings[K]): Promise<void> {
  await askSupervisor("kernel.replace", { op: "network", verb: "replace", kind, value });
}

/** Of a route the first that fits: what is left out may be anything. */
async function remove<K extends NetworkKind>(kind: K, value: NetworkThings[K]): Promise<void> {
  await askSupervisor("kernel.remove", { op: "network", verb: "remove", kind, value });
}

async function setLink(device: string, setting: LinkSetting): Promise<void> {
  await askSupervisor("kernel.setLink", { op: "link", device, setting });
}

export const kernel = { object, list, add, replace, remove, setLink } as const;
