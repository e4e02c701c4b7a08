/** The firewall of one interface: its program over the operator's own maps, verified with its configuration. */
import { bpfError } from "#core/errors/bpf.ts";
import { sumPerCpu } from "#bpf/kernel/counters.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import type { BpfMap } from "#bpf/kernel/map.ts";
import { committedSpec } from "#bpf/kernel/objects.ts";
import type { Program } from "#bpf/kernel/program.ts";
import { limitEntries, type LimitDeclaration } from "./limits.ts";

export interface FirewallMaps {
  /** Both stay the caller's. */
  readonly deny: BpfMap;
  readonly allow: BpfMap | null;
}

export interface FirewallOptions {
  readonly limits: readonly LimitDeclaration[];
  /** SYNs a second above which they are answered with cookies; 0: never. */
  readonly synsPerSecond: number;
}

export class Firewall {
  readonly maps: FirewallMaps;
  readonly collection: Collection;
  readonly #options: FirewallOptions;

  /** Loads and verifies; attaches nothing. `chain`: the device's (kernel/xdp-chain.ts); null: nothing comes behind it. */
  constructor(maps: FirewallMaps, options: FirewallOptions, chain: BpfMap | null) {
    this.maps = maps;
    this.#options = options;
    this.collection = Collection.load(committedSpec("firewall"), {
      maps: {
        firewall_deny: maps.deny,
        ...(maps.allow === null ? {} : { firewall_allow: maps.allow }),
        ...(chain === null ? {} : { xdp_chain: chain }),
      },
      globals: {
        firewall_config: {
          use_allow_list: maps.allow === null ? 0 : 1,
          use_limits: options.limits.length === 0 ? 0 : 1,
          syns_per_second: options.synsPerSecond,
        },
      },
    });
    try {
      this.#writeLimits();
    } catch (error) {
      this.collection.close();
      throw error;
    }
  }

  get program(): Program {
    return this.collection.program("firewall");
  }

  /** Whether this one can stay, buckets and counters and all, for that configuration. */
  fits(maps: FirewallMaps, options: FirewallOptions): boolean {
    return (
      this.maps.deny === maps.deny &&
      this.maps.allow === maps.allow &&
      JSON.stringify(this.#options) === JSON.stringify(options)
    );
  }

  /** Since it was loaded. */
  counters(): FirewallCounters {
    const sums = sumPerCpu(this.collection.map("firewall_counters"));
    const named = FIREWALL_REASONS.map(({ name }, i) => [name, sums[i] ?? 0] as const);
    return Object.fromEntries(named) as Record<FirewallReason, number>;
  }

  close(): void {
    this.collection.close();
  }

  #writeLimits(): void {
    const map = this.collection.map("firewall_limits");
    const seen = new Set<string>();
    for (const [i, { key, value }] of limitEntries(this.#options.limits).entries()) {
      const text = key.toString("hex");
      if (seen.has(text)) {
        throw bpfError("PENSTOCK_BPF_TYPES", { detail: `two limits of ${this.#options.limits[i]?.prefix}` });
      }
      seen.add(text);
      map.update(key, value);
    }
  }
}

/** Why a packet passed, was dropped or answered, in the order of firewall_consts.h. Each packet has one. */
export const FIREWALL_REASONS = [
  { name: "passed", verdict: "pass" },
  { name: "denied", verdict: "drop" },
  { name: "expired", verdict: "pass" },
  { name: "notIp", verdict: "pass" },
  { name: "allowed", verdict: "pass" },
  { name: "limited", verdict: "drop" },
  { name: "cookieSent", verdict: "reply" },
  { name: "cookieValid", verdict: "pass" },
  { name: "cookieInvalid", verdict: "drop" },
  { name: "cookieRefused", verdict: "pass" },
  { name: "synUnusual", verdict: "drop" },
] as const;

export type FirewallReason = (typeof FIREWALL_REASONS)[number]["name"];
export type FirewallCounters = Readonly<Record<FirewallReason, number>>;
