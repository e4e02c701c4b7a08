/**
 * The members of one upstream at the moment: those with an address, and those that its names stand for. Names are watched
 * from the beginning, so that they are known when the snapshot comes into force.
 */
import { readNamedAddress } from "#core/address.ts";
import type { EndpointSpec, UpstreamSpec } from "#snapshot/snapshot.ts";
import type { ClientTls } from "#net/tls/client-tls.ts";
import type { Endpoints } from "./endpoints.ts";
import type { Member } from "./member.ts";

export interface Listed {
  readonly member: Member;
  readonly weight: number;
  readonly priority: number;
  readonly drain: boolean;
}

export class Roster {
  readonly #spec: UpstreamSpec;
  readonly #endpoints: Endpoints;
  readonly #changed: () => void;
  readonly #tls: ClientTls | null;
  readonly #unwatch: (() => void)[] = [];
  all: readonly Listed[] = [];

  /** `changed`: a name stands for other addresses now; `all` is new. Throws PenstockError for an address that can't be one. */
  constructor(spec: UpstreamSpec, endpoints: Endpoints, tls: ClientTls | null, changed: () => void) {
    this.#spec = spec;
    this.#endpoints = endpoints;
    this.#changed = changed;
    this.#tls = tls;
    for (const host of namesOf(spec)) this.#unwatch.push(endpoints.resolver.watch(host, () => this.#resolved()));
    this.all = this.#list(endpoints.members.knows(spec.name));
  }

  /** Names that are not resolved. */
  get unresolved(): readonly string[] {
    return namesOf(this.#spec).filter((host) => this.#endpoints.resolver.addressesOf(host).length === 0);
  }

  dispose(): void {
    for (const unwatch of this.#unwatch) unwatch();
    this.#release(this.all);
    this.all = [];
  }

  #resolved(): void {
    const before = this.all;
    this.all = this.#list(before.length > 0);
    // Released behind: what stays keeps its state.
    this.#release(before);
    this.#changed();
  }

  #list(joins: boolean): Listed[] {
    const all: Listed[] = [];
    for (const spec of this.#spec.endpoints) {
      const named = readNamedAddress(spec.address);
      if (named === null) {
        all.push(this.#listed(spec, spec.address, hostOf(spec.address), joins));
        continue;
      }
      const { host, port } = named;
      for (const ip of this.#endpoints.resolver.addressesOf(host)) {
        all.push(this.#listed(spec, ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`, host, joins));
      }
    }
    return all;
  }

  /** `host`: what the endpoint is called, where its certificate is verified. */
  #listed(spec: EndpointSpec, address: string, host: string, joins: boolean): Listed {
    const tls = this.#tls === null ? null : { client: this.#tls, host };
    const endpoint = this.#endpoints.acquire(address, this.#spec.idleConnectionsMax, tls);
    const member = this.#endpoints.members.acquire(this.#spec.name, endpoint, joins);
    return { member, weight: spec.weight, priority: spec.priority ?? 0, drain: spec.drain ?? false };
  }

  #release(all: readonly Listed[]): void {
    for (const { member } of all) {
      this.#endpoints.members.release(this.#spec.name, member);
      this.#endpoints.release(member.endpoint);
    }
  }
}

/** `127.0.0.1` of `127.0.0.1:443`, `::1` of `[::1]:443`; nothing of a Unix socket, which has no name to verify. */
function hostOf(address: string): string {
  if (address.startsWith("unix:")) return "";
  return address.slice(0, address.lastIndexOf(":")).replaceAll(/[[\]]/g, "");
}

function namesOf(spec: UpstreamSpec): string[] {
  const names = new Set<string>();
  for (const { address } of spec.endpoints) {
    const named = readNamedAddress(address);
    if (named !== null) names.add(named.host);
  }
  return [...names];
}
