/** What must hold of what a soak found, the same for small and for large ones. */
import type { Away } from "./control-away.ts";
import type { Survived } from "./store-kills.ts";
import type { Reloaded } from "./script-reloads.ts";
import type { PluginsReloaded } from "./reloads.ts";
import type { Passed } from "./short-connections.ts";
import type { Endured } from "./slow-clients.ts";
import type { Steered } from "./steering.ts";
import type { Toll } from "./swaps-and-kills.ts";
import type { Transferred } from "./transfers.ts";

export type Soak =
  | { readonly name: "reloads"; readonly found: PluginsReloaded }
  | { readonly name: "swaps"; readonly found: Toll }
  | { readonly name: "scripts"; readonly found: Reloaded }
  | { readonly name: "transfers"; readonly found: Transferred }
  | { readonly name: "connections"; readonly found: Passed }
  | { readonly name: "slow"; readonly found: Endured }
  | { readonly name: "store"; readonly found: Survived }
  | { readonly name: "steering"; readonly found: Steered }
  | { readonly name: "control"; readonly found: Away };

const MIB = 1 << 20;
/** Beside bodies of any size: a worker's heap takes and gives back a few megabytes by itself. */
const TRANSFER_GROWTH_MAX = 32 * MIB;
/** Of a million connections 16 MiB would be 17 bytes each. */
const CONNECTION_GROWTH_MAX = 16 * MIB;
/** Of 10 000 reloads 32 MiB would be 3 KiB each; one guest's memory alone is 64. */
const RELOAD_GROWTH_MAX = 32 * MIB;
/** Attackers that are let in hold a buffer or a few each; those that do not read, what the watermarks allow. */
const ATTACK_GROWTH_MAX = 256 * MIB;
/** The well-behaved client's, and what is on its way out. */
const CONNECTIONS_LEFT_MAX = 2;

/** Empty: all is well. */
export function faults(soak: Soak): string[] {
  const wrong: string[] = [];
  const must = (holds: boolean, what: string): void => {
    if (!holds) wrong.push(what);
  };
  switch (soak.name) {
    case "swaps": {
      const { unexcused, answered } = soak.found;
      must(answered > 0, "nothing was answered");
      must(unexcused.length === 0, `lost without a worker killed: ${unexcused.slice(0, 5).join(", ")}`);
      break;
    }
    case "store": {
      const { lost, acknowledged, kills } = soak.found;
      must(lost.length === 0, `lost: ${lost.slice(0, 5).join(", ")}`);
      must(acknowledged >= kills, "hardly anything was written");
      break;
    }
    case "control": {
      const { failures, answered, kills, intact } = soak.found;
      must(failures.length === 0, `requests failed: ${failures.slice(0, 5).join(", ")}`);
      must(answered > 0 && kills > 0, "nothing happened");
      must(intact, "what was declared is not what it was");
      break;
    }
    case "steering": {
      const { tcp, udp, wrong: misled, left } = soak.found;
      must(tcp > 0 && udp > 0, "nothing was steered");
      must(misled.length === 0, `not where they wanted: ${misled.slice(0, 5).join(", ")}`);
      must(left === 0, `${left} are still remembered`);
      break;
    }
    case "scripts": {
      const { answered, reloads, refusals, lost } = soak.found;
      must(answered > 0 && reloads > 0 && refusals > 0, "nothing was answered, or reloaded");
      must(lost.length === 0, `lost: ${lost.slice(0, 5).join(", ")}`);
      break;
    }
    case "reloads":
      must(soak.found.grownBytes < RELOAD_GROWTH_MAX, "memory grew with the reloads");
      must(soak.found.guestsLeft === 0, "guests were left");
      break;
    case "transfers":
      must(soak.found.whole, "a body did not arrive as it was sent");
      must(soak.found.grownBytes < TRANSFER_GROWTH_MAX, "memory grew with the bodies");
      break;
    case "connections":
      must(soak.found.failed === 0, "connections failed");
      must(soak.found.grownBytes < CONNECTION_GROWTH_MAX, "memory grew with the connections");
      must(soak.found.grownDescriptors <= 0, "descriptors stayed open");
      break;
    case "slow": {
      const { failed, left, refused, grownBytes, counters } = soak.found;
      must(failed.length === 0, `who behaved was not served: ${failed.slice(0, 5).join(", ")}`);
      must(left === 0, "slow clients were not ended");
      must(refused > 0, "the flood was let in past the cap");
      must(grownBytes < ATTACK_GROWTH_MAX, "memory grew with the attackers");
      must(
        counters.connectionsOpen <= CONNECTIONS_LEFT_MAX && counters.exchangesOpen === 0,
        "something of them stayed",
      );
      break;
    }
  }
  return wrong;
}
