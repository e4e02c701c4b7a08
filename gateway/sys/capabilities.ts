/** Capability sets of the calling thread. Sources: capabilities(7), include/uapi/linux/capability.h, prctl.h. */
import { processStatus, prctl } from "./process.ts";
import { check, libc } from "./libc.ts";

const capsetCall = libc.func("int capset(void *header, void *data)");

const VERSION_3 = 0x2008_0522;
const PR_CAPBSET_READ = 23;
const PR_CAPBSET_DROP = 24;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
const LAST_POSSIBLE = 63;

/** Bit numbers of those that the gateway asks about. */
export const CAPABILITIES = {
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_SETPCAP: 8,
  CAP_NET_BIND_SERVICE: 10,
  CAP_NET_ADMIN: 12,
  CAP_SYS_ADMIN: 21,
  CAP_SYS_RESOURCE: 24,
  CAP_PERFMON: 38,
  CAP_BPF: 39,
} as const;
export type Capability = keyof typeof CAPABILITIES;

/** Which of the known capabilities this process can use now. */
export function effectiveCapabilities(): ReadonlySet<Capability> {
  const bits = BigInt(`0x${processStatus().get("CapEff") ?? "0"}`);
  const held = new Set<Capability>();
  for (const [name, bit] of Object.entries(CAPABILITIES) as [Capability, number][]) {
    if ((bits >> BigInt(bit)) & 1n) held.add(name);
  }
  return held;
}

/** Empties the bounding set: no execve can give a capability again. Needs CAP_SETPCAP. Throws PENSTOCK_SYS_CALL. */
export function dropBoundingSet(): void {
  for (let bit = 0; bit <= LAST_POSSIBLE; bit++) {
    if (!kernelKnows(bit)) return;
    prctl("PR_CAPBSET_DROP", PR_CAPBSET_DROP, bit);
  }
}

/** The first number past the kernel's last capability is EINVAL. */
function kernelKnows(bit: number): boolean {
  try {
    prctl("PR_CAPBSET_READ", PR_CAPBSET_READ, bit);
    return true;
  } catch {
    return false;
  }
}

/** Empties the ambient, permitted, effective and inheritable sets of the calling thread. Throws PENSTOCK_SYS_CALL. */
export function dropCapabilities(): void {
  prctl("PR_CAP_AMBIENT", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL);
  const header = Uint32Array.of(VERSION_3, 0);
  check("capset", capsetCall(header, new Uint32Array(6)) as number);
}
