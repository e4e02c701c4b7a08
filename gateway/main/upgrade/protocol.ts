/**
 * What a running gateway and its successor say to each other: types only. The successor is a child of the old supervisor,
 * with an IPC channel (descriptor 3, "advanced" serialisation) and a SOCK_SEQPACKET pair for descriptors (4), each under a
 * number that the messages name (#sys/descriptors.ts).
 *
 *     old                                         new
 *      │ starts it ─────────────────────────────▶ │
 *      │ ◀──────────────────────────────── hello  │  reads its command line
 *      │ descriptors, estate ───────────────────▶ │  workers take up the last good snapshot: both serve
 *      │ ◀────────────────────────────── serving  │
 *      │ its control process ends                 │
 *      │ control ───────────────────────────────▶ │  starts its own, on the same store; declares `-f FILE`
 *      │ ◀──────────────────────────────── ready  │
 *      │ lets go of sockets and the kernel part   │
 *      │ yours ─────────────────────────────────▶ │  is the gateway from now on
 *      │ drains, and ends                         │
 *
 * Until `yours` the old one can go on alone: a successor that ends, or takes too long, changes nothing. When the old one
 * dies on the way, the successor goes on as if it had been told everything.
 */
import type { TenantRegions } from "#main/supervisor/tenant-memory.ts";
import type { MapSpec } from "#snapshot/snapshot.ts";
import type { EndpointOutage, MapChangeMessage, MapEntry } from "#worker/protocol.ts";

/** Of these messages. A successor that speaks another refuses, and the old one goes on. */
export const UPGRADE_PROTOCOL = 1;

/** The successor's end of the descriptor channel. */
export const FD_CHANNEL = 4;

/** Names the old supervisor's process to its successor. */
export const PREDECESSOR_VARIABLE = "PENSTOCK_PREDECESSOR";

/** How the command was called, when it was not by the path of this file: a link that may lead to a newer version now. */
export const COMMAND_VARIABLE = "PENSTOCK_COMMAND";

export interface ListeningEstate {
  /** See Listeners: what makes a socket the same under two declarations. */
  readonly key: string;
  readonly address: string;
  /** One for each worker; the same one for all where it can't be shared out. */
  readonly tags: readonly number[];
}

export interface HandedKernel {
  /** Of the layouts of what is handed over; another means that the successor begins with its own. */
  readonly version: number;
  readonly links: ReadonlyMap<string, number>;
  readonly maps: ReadonlyMap<string, number>;
}

/** All that one supervisor leaves to the next; numbers are tags of descriptors. */
export interface Estate {
  readonly listeners: readonly ListeningEstate[];
  /** Those of the script, where one runs. */
  readonly scriptListeners: readonly ListeningEstate[];
  /** The Unix socket, and the TCP socket if there is one. */
  readonly admin: readonly number[];
  /** Of the embedded example; null when it does not run. */
  readonly echo: number | null;
  /** Of session tickets, the one that seals first. Never logged. */
  readonly ticketKeys: readonly Uint8Array[];
  /** Maps that live in user space. */
  readonly maps: readonly { readonly spec: MapSpec; readonly entries: readonly MapEntry[] }[];
  readonly kernel: HandedKernel;
  /** Where the token buckets of rate limits are. Absent: the version before handed none over. */
  readonly buckets?: number;
  /** Where tenants' entries are. Absent: there are none. */
  readonly tenantMemory?: { readonly tag: number; readonly regions: TenantRegions["regions"] };
  /** Of what the script has attached, and steers. Absent: the version before knew none. */
  readonly scriptKernel?: HandedKernel;
  /** Endpoints that are out. Absent: the version before told of none. */
  readonly outages?: HandedOutages;
}

/** Of what is told of endpoints: a successor that knows another begins with all of them in. */
export const OUTAGES_VERSION = 1;

export interface HandedOutages {
  readonly version: number;
  /** By worker: each has seen for itself. */
  readonly workers: readonly (readonly EndpointOutage[])[];
}

export type ToPredecessor =
  | { readonly type: "hello"; readonly protocol: number; readonly version: string }
  | { readonly type: "serving" }
  | { readonly type: "ready"; readonly revision: number }
  /** It gives up: its control process has ended, and its workers end what they have begun. */
  | { readonly type: "failed" };

export type ToSuccessor =
  /** Its descriptors have been sent before. */
  | { readonly type: "estate"; readonly estate: Estate }
  | { readonly type: "control" }
  | { readonly type: "yours" }
  /** What workers that drain still change in maps of user space. */
  | MapChangeMessage;
