/** What in the kernel a request meets before a worker sees it: for people, in the order in which packets come by. */
import type { BindPlaceSpec, InterfaceSpec, Snapshot } from "#snapshot/snapshot.ts";

export function kernelWay({ kernel, maps, listeners }: Snapshot, listener: string): string[] {
  const index = listeners.findIndex((one) => one.name === listener);
  const mine = <T extends { readonly listener: number }>(all: readonly T[] | undefined): readonly T[] =>
    (all ?? []).filter((one) => one.listener === index);
  return [
    ...kernel.interfaces.map((one) => programsOf(one, (map) => maps[map]?.name ?? "")),
    ...mine(kernel.interceptors).map(
      ({ name, ports, devices }) =>
        `interceptor ${name}: connections to port ${ports.join(", ")} by ${devices.join(", ") || "every device"} come here`,
    ),
    ...mine(kernel.bindings).map(({ name, match }) => `binding ${name}: ${match.map(placeText).join("; ")} come here`),
    ...mine(kernel.steering).map(
      ({ cgroup, ports }) => `steering: connections from ${cgroup} to port ${ports.join(", ")} come here`,
    ),
  ].filter((line) => line !== "");
}

function programsOf({ device, firewall, counter }: InterfaceSpec, mapName: (map: number) => string): string {
  const programs = [];
  if (firewall !== undefined) programs.push(`firewall (denies what is in "${mapName(firewall.blocklist)}")`);
  if (counter !== undefined) programs.push("packet counter");
  return programs.length === 0 ? "" : `on ${device}: ${programs.join(", ")}`;
}

function placeText({ prefix, ports }: BindPlaceSpec): string {
  const texts = ports.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
  return `port ${texts.join(", ")}${prefix === null ? "" : ` of ${prefix}`}`;
}
