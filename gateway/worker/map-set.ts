/**
 * The shared maps of this worker by name: on a kernel descriptor where the supervisor has granted one, else in user space.
 * A map whose schema and place stay the same is the same object through all snapshots, so filters keep it.
 */
import { formatAddress } from "#core/address.ts";
import { asFd, type Fd } from "#core/brands.ts";
import { defined } from "#core/assert.ts";
import type { Peer } from "#net/listener.ts";
import type { SharedMap } from "#pipeline/filter.ts";
import { getsockname } from "#sys/socket.ts";
import type { MapSpec, Snapshot } from "#snapshot/snapshot.ts";
import type { KernelView } from "./data-plane.ts";
import type { Descriptors } from "./descriptors.ts";
import { KernelMap } from "./maps/kernel-map.ts";
import { OriginalDestinations } from "./maps/original-destinations.ts";
import { KernelSockmap } from "./maps/kernel-sockmap.ts";
import { UserMap, type MapChange } from "./maps/user-map.ts";
import type { MapChangeMessage, MapGrant, PrepareMessage, SockmapTags } from "./protocol.ts";

interface Entry {
  /** Schema and place: what must be equal for the map to stay. */
  readonly identity: string;
  readonly map: KernelMap | UserMap;
}

/** A whole address as a prefix: its length as a little-endian u32, then 16 bytes. */
const WHOLE_ADDRESS_BITS = 128;

export class MapSet {
  readonly #send: (change: MapChangeMessage) => void;
  /** One of the lists that say who is let in here has changed. */
  readonly #listChanged: () => void;
  /** Those lists. */
  #lists = new Set<string>();
  #current = new Map<string, Entry>();
  #prepared: Map<string, Entry> | null = null;
  /** Its descriptors stay, so it does. */
  #kernelSockmap: KernelSockmap | null = null;

  constructor(send: (change: MapChangeMessage) => void, listChanged: () => void = () => {}) {
    this.#send = send;
    this.#listChanged = listChanged;
  }

  /** The maps of a snapshot that is being prepared. Throws when a descriptor that was promised has not come. */
  prepare(message: PrepareMessage, descriptors: Descriptors): void {
    const prepared = new Map<string, Entry>();
    message.maps.forEach((grant, i) => {
      const spec = defined(message.snapshot.maps[i], "map of a grant");
      const identity = JSON.stringify([spec, grant.fdTag]);
      const known = this.#current.get(spec.name);
      prepared.set(spec.name, known?.identity === identity ? known : this.#make(spec, grant, identity, descriptors));
    });
    this.#prepared = prepared;
  }

  commit(): void {
    this.#current = this.#prepared ?? this.#current;
    this.#prepared = null;
  }

  abort(): void {
    this.#prepared = null;
  }

  /** By name, of the snapshot being prepared if there is one. */
  get(name: string): SharedMap {
    const entry = (this.#prepared ?? this.#current).get(name);
    return defined(entry, `map ${name}`).map;
  }

  /** A sibling's change of a user-space map. */
  applyRemote(message: MapChangeMessage): void {
    const map = this.#current.get(message.map)?.map;
    if (!(map instanceof UserMap)) return;
    map.applyRemote(toChange(message));
    if (this.#lists.has(message.map)) this.#listChanged();
  }

  /** What the data plane asks of the kernel's side while this snapshot is in force. */
  kernelView(message: PrepareMessage, descriptors: Descriptors): KernelView {
    const tag = message.originalsFdTag;
    const originals = tag === null ? null : new OriginalDestinations(defined(descriptors.byTag.get(tag), "originals"));
    const lists = this.#userSpaceLists(message.snapshot);
    this.#lists = new Set(lists.flatMap(({ deny, allow }) => [deny.name, allow?.name ?? deny.name]));
    const own = new Set(message.listeners.map((listener) => listener.address));
    const key = new Uint8Array(20);
    key[0] = WHOLE_ADDRESS_BITS;
    return {
      sockmap: this.#sockmap(message.sockmapFdTags, descriptors),
      originalOf: (peer: Peer, fd: number, protocol: "tcp" | "udp") => {
        const found = originals?.find(peer.address, protocol) ?? null;
        // A connection that was diverted as it came in has the address that was asked for as the socket's own.
        const address = formatAddress(found ?? getsockname(asFd(fd)));
        // A client that asked for the gateway itself would be sent round in circles.
        return own.has(address) ? null : address;
      },
      leadsTo: (memory: Uint8Array, at: number, destination: Uint8Array | null) =>
        originals?.leadsTo(memory, at, destination) ?? true,
      banned: (peer: Pick<Peer, "ipBytes">) => {
        if (lists.length === 0) return false;
        key.set(peer.ipBytes, 4);
        return lists.some(({ deny, allow }) => deny.get(key) !== null && (allow?.get(key) ?? null) === null);
      },
    };
  }

  #sockmap(tags: SockmapTags | null, { byTag }: Descriptors): KernelSockmap | null {
    if (tags === null) return null;
    const fd = (tag: number): Fd => defined(byTag.get(tag), "map of spliced streams");
    this.#kernelSockmap ??= new KernelSockmap({
      sockets: fd(tags.sockets),
      taken: fd(tags.taken),
      moved: fd(tags.moved),
    });
    return this.#kernelSockmap;
  }

  /**
   * The lists of firewalls that no XDP program reads, each pair once: connections are refused here instead. Which device
   * a client came in by is not asked, so a client that any of the firewalls denies is refused.
   */
  #userSpaceLists({
    kernel,
    maps,
  }: Pick<Snapshot, "kernel" | "maps">): { readonly deny: UserMap; readonly allow: UserMap | null }[] {
    const userMap = (index: number | undefined): UserMap | null => {
      const map = index === undefined ? undefined : this.#current.get(maps[index]?.name ?? "")?.map;
      return map instanceof UserMap ? map : null;
    };
    const pairs = new Map<string, { readonly deny: UserMap; readonly allow: UserMap | null }>();
    for (const { firewall } of kernel.interfaces) {
      const deny = userMap(firewall?.blocklist);
      if (firewall === undefined || deny === null) continue;
      pairs.set(`${firewall.blocklist} ${firewall.allowlist}`, { deny, allow: userMap(firewall.allowlist) });
    }
    return [...pairs.values()];
  }

  #make(spec: MapSpec, grant: MapGrant, identity: string, descriptors: Descriptors): Entry {
    if (grant.fdTag !== null) {
      const fd: Fd = defined(descriptors.byTag.get(grant.fdTag), `descriptor of map ${spec.name}`);
      return { identity, map: new KernelMap(spec, fd) };
    }
    const map = new UserMap(spec, (change) => {
      this.#send(toMessage(change));
      if (this.#lists.has(spec.name)) this.#listChanged();
    });
    for (const { key, value } of grant.entries) {
      map.applyRemote({ map: spec.name, op: "put", key: encode(key), value: encode(value) });
    }
    return { identity, map };
  }
}

function encode(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

function toChange(message: MapChangeMessage): MapChange {
  const { map } = message;
  const key = encode(message.key);
  if (message.op === "put") return { map, op: "put", key, value: encode(message.value) };
  if (message.op === "delete") return { map, op: "delete", key, value: "" };
  return { map, op: "increment", key, value: message.delta.toString() };
}

function toMessage(change: MapChange): MapChangeMessage {
  const { map } = change;
  const key = Buffer.from(change.key, "base64");
  if (change.op === "put")
    return { type: "map-change", map, op: "put", key, value: Buffer.from(change.value, "base64") };
  if (change.op === "delete") return { type: "map-change", map, op: "delete", key };
  return { type: "map-change", map, op: "add", key, delta: BigInt(change.value) };
}
