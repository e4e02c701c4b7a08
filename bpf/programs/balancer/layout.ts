/** Numbers of src/balancer_consts.h; a test holds the two together. Layouts of values come from the object's own types. */

export const RING_SLOTS = 65_537;
export const SERVICES_MAX = 256;
export const ENDPOINTS_MAX = 4096;
/** One bit each in `struct service`. */
export const DEVICES_MAX = 64;

export const MODE = { dsr: 0, nat: 1 } as const;
export const STATE = { none: 0, active: 1, draining: 2 } as const;
export const PROTOCOL = { tcp: 6, udp: 17 } as const;

/** Ports towards an endpoint: above those that the kernel itself takes (net.ipv4.ip_local_port_range). */
export const SHARED_PORTS = { first: 61_000, count: 65_536 - 61_000 } as const;
/** Where the address is the balancer's alone. */
export const OWN_PORTS = { first: 1024, count: 65_536 - 1024 } as const;

/** A flood of new flows beyond this, on one CPU in one second, is sent on by the ring but not remembered. */
export const FLOWS_PER_SECOND = 125_000;

/** Why a packet of a service was not simply sent on: the order of REASON_* in balancer_consts.h. */
export const BALANCER_REASONS = [
  { name: "noEndpoint", dropped: true },
  { name: "fragment", dropped: true },
  { name: "hopLimit", dropped: true },
  { name: "tooBig", dropped: true },
  { name: "tooBigDropped", dropped: true },
  { name: "noRoute", dropped: true },
  { name: "noNeighbour", dropped: true },
  { name: "forwardingOff", dropped: true },
  { name: "noPort", dropped: true },
  { name: "unrecorded", dropped: false },
  { name: "icmpError", dropped: false },
  { name: "mangled", dropped: true },
] as const;

export type BalancerReason = (typeof BALANCER_REASONS)[number]["name"];
