/**
 * Network namespaces for tests, joined by veth pairs. All names begin with `pst-` and the test process's id, so that a
 * later run can tell what a killed one left behind, and take it away.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import fs from "node:fs";

const PREFIX = "pst-";
const FOLDER = "/run/netns";

/** Runs a command to its end and answers what it printed. Throws with what it complained of. */
export function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

export class Namespace {
  readonly name: string;
  readonly path: string;

  constructor(label: string) {
    this.name = `${PREFIX}${process.pid}-${label}`;
    this.path = `${FOLDER}/${this.name}`;
    run("ip", "netns", "add", this.name);
    this.ip("link", "set", "lo", "up");
  }

  ip(...args: readonly string[]): string {
    return run("ip", "-n", this.name, ...args);
  }

  /** A command inside; its /sys shows this namespace's devices. */
  run(command: string, ...args: readonly string[]): string {
    return run("ip", "netns", "exec", this.name, command, ...args);
  }

  /** A command inside that goes on; the caller ends it. Keeps our view of /sys, unlike `ip netns exec`. */
  spawn(command: string, ...args: readonly string[]): ChildProcess {
    return spawn("nsenter", [`--net=${this.path}`, command, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  }

  /** As `spawn`, with an input to write to. */
  spawnWithInput(command: string, ...args: readonly string[]): ChildProcess {
    return spawn("nsenter", [`--net=${this.path}`, command, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  }

  /** Packets that a device had no room for, and that went no further. */
  dropped(device: string): number {
    const [link] = JSON.parse(this.ip("-json", "-s", "link", "show", device)) as [LinkStatistics];
    return link.stats64.tx.dropped;
  }

  destroy(): void {
    run("ip", "netns", "delete", this.name);
  }
}

interface LinkStatistics {
  readonly stats64: { readonly tx: { readonly dropped: number } };
}

export interface Ends {
  readonly device: string;
  readonly addresses: readonly string[];
}

/**
 * A veth pair between two namespaces. Transmit checksum offload is off: with it, packets carry no checksum over a veth
 * pair, and a test would not see a wrong one. The ends know each other's hardware addresses: discovery would be subject
 * to the very firewall that is tested, and takes a second when its first packet is lost.
 */
export function connect(a: Namespace, left: Ends, b: Namespace, right: Ends): void {
  a.ip("link", "add", left.device, "type", "veth", "peer", "name", right.device, "netns", b.name);
  for (const [namespace, end] of [
    [a, left],
    [b, right],
  ] as const) {
    for (const address of end.addresses) {
      namespace.ip("address", "add", address, "dev", end.device, ...(address.includes(":") ? ["nodad"] : []));
    }
    namespace.ip("link", "set", end.device, "up");
    namespace.run("ethtool", "-K", end.device, "tx", "off");
  }
  introduce(a, left, hardwareAddress(b, right.device), right.addresses);
  introduce(b, right, hardwareAddress(a, left.device), left.addresses);
}

function hardwareAddress(namespace: Namespace, device: string): string {
  const [link] = JSON.parse(namespace.ip("-json", "link", "show", device)) as [{ readonly address: string }];
  return link.address;
}

function introduce(namespace: Namespace, end: Ends, hardware: string, neighbours: readonly string[]): void {
  for (const neighbour of neighbours) {
    const [address = ""] = neighbour.split("/");
    namespace.ip("neighbour", "replace", address, "lladdr", hardware, "dev", end.device, "nud", "permanent");
  }
}

/** Namespaces of test runs whose process is gone. */
export function removeLeftovers(): void {
  if (!fs.existsSync(FOLDER)) return;
  for (const name of fs.readdirSync(FOLDER)) {
    const owner = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (owner !== undefined && !fs.existsSync(`/proc/${owner}`)) run("ip", "netns", "delete", name);
  }
}
