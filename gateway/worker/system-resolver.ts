/**
 * What the system says about names, read once: a worker is confined, and a file that is put in the place of another later is
 * not the one it may read. Without the files the server of this machine is asked, as the system's own resolver does.
 */
import { readFileSync } from "node:fs";
import type { Resolver } from "#upstream/dns/resolver.ts";
import { readHosts, readNameservers, type ResolverConfig } from "#upstream/dns/system-files.ts";

export function systemResolver(): ResolverConfig {
  return { servers: readNameservers(textOf("/etc/resolv.conf")), hosts: readHosts(textOf("/etc/hosts")) };
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Absent, or not ours to read: the same as empty, by resolv.conf(5) and hosts(5).
    return "";
  }
}

/** How long a snapshot with names that are new waits for their addresses before it comes into force without. */
const SETTLE_MS = 2000;
const POLL_MS = 10;

/** Resolves when every name has been answered, or when that takes too long. */
export async function namesSettled(resolver: Resolver): Promise<void> {
  for (let waited = 0; !resolver.settled && waited < SETTLE_MS; waited += POLL_MS) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
