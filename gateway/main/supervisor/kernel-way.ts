/** What in the kernel a request meets before a worker sees it: for people, in the order in which packets come by. */
import type { BindPlaceSpec, FirewallSpec, InterfaceSpec } from "#snapshot/kernel.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";

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
  if (firewall !== undefined) programs.push(`firewall (${firewallText(firewall, mapName)})`);
  if (counter !== undefined) programs.push("packet counter");
  return programs.length === 0 ? "" : `on ${device}: ${programs.join(", ")}`;
}

function firewallText(firewall: FirewallSpec, mapName: (map: number) => string): string {
  const { blocklist, allowlist, limits, synsPerSecond } = firewall;
  const parts = [`denies what is in "${mapName(blocklist)}"`];
  if (allowlist !== undefined) parts.push(`never what is in "${mapName(allowlist)}"`);
  for (const { prefix, packetsPerSecond, each } of limits)
    parts.push(`${prefix}: ${packetsPerSecond} packets/s${each === "source" ? " a source" : ""}`);
  if (synsPerSecond > 0) parts.push(`SYN cookies above ${synsPerSecond} SYNs/s`);
  return parts.join("; ");
}

function placeText({ prefix, ports }: BindPlaceSpec): string {
  const texts = ports.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
  return `port ${texts.join(", ")}${prefix === null ? "" : ` of ${prefix}`}`;
}
