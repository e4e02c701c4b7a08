/** What a supervisor leaves to its successor, as a message and the descriptors that it names (#main/upgrade/protocol.ts). */
import type { HandedDescriptors } from "#bpf/manager/handed-over.ts";
import { PIN_VERSION } from "#bpf/manager/pinning.ts";
import type { Fd } from "#core/brands.ts";
import { OUTAGES_VERSION, type Estate, type ListeningEstate } from "#main/upgrade/protocol.ts";
import type { EndpointOutage } from "#worker/protocol.ts";
import type { Bound } from "./listeners.ts";
import { tagged, type Tagged } from "./tags.ts";
import type { TenantRegions } from "./tenant-memory.ts";

export interface EstateParts {
  readonly listeners: ReadonlyMap<string, Bound>;
  readonly scriptListeners: ReadonlyMap<string, Bound>;
  readonly admin: readonly Fd[];
  readonly echo: Fd | null;
  readonly ticketKeys: readonly Uint8Array[];
  readonly maps: Estate["maps"];
  readonly buckets: Fd;
  readonly tenantMemory: TenantRegions | null;
  readonly kernel: HandedDescriptors;
  readonly scriptKernel: HandedDescriptors;
  readonly outages: readonly (readonly EndpointOutage[])[];
}

export function estateOf(parts: EstateParts): { readonly estate: Estate; readonly descriptors: readonly Tagged[] } {
  const descriptors = new Map<number, Tagged>();
  const keep = (one: Tagged): number => {
    descriptors.set(one.tag, one);
    return one.tag;
  };
  const named = (fds: ReadonlyMap<string, Fd>): Map<string, number> =>
    new Map(Array.from(fds, ([name, fd]) => [name, keep(tagged(fd))]));
  const listening = (bound: ReadonlyMap<string, Bound>): ListeningEstate[] =>
    Array.from(bound, ([key, { address, sockets }]) => ({ key, address, tags: sockets.map(keep) }));
  const handed = ({ links, maps }: HandedDescriptors): Estate["kernel"] => ({
    version: PIN_VERSION,
    links: named(links),
    maps: named(maps),
  });
  const { ticketKeys, maps, echo, buckets, tenantMemory } = parts;
  const estate: Estate = {
    listeners: listening(parts.listeners),
    scriptListeners: listening(parts.scriptListeners),
    admin: parts.admin.map((fd) => keep(tagged(fd))),
    echo: echo === null ? null : keep(tagged(echo)),
    ticketKeys,
    maps,
    buckets: keep(tagged(buckets)),
    ...(tenantMemory === null ? {} : { tenantMemory: { tag: keep(tenantMemory.file), regions: tenantMemory.regions } }),
    kernel: handed(parts.kernel),
    scriptKernel: handed(parts.scriptKernel),
    outages: { version: OUTAGES_VERSION, workers: parts.outages },
  };
  return { estate, descriptors: [...descriptors.values()] };
}
