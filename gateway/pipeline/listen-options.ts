/** What `listen` may be told beside an address. */
import type { ListenTlsOptions } from "./runtime.ts";

export interface ListenOptions {
  /** `tcp` where it is left out. Each client of `udp` is a stream of messages, a datagram each. */
  readonly protocol?: "tcp" | "udp";
  readonly tls?: ListenTlsOptions;
  /** Takes connections, or datagrams, that were meant for others; `ctx.inbound.originalDestination` says for whom. */
  readonly transparent?: boolean;
  /** Has the kernel turn connections of processes here, by the supervisor, while the script is in force; implies `transparent`. */
  readonly steer?: SteerOptions;
  /** Milliseconds without a byte in either direction; 600 000, and 60 000 for UDP. */
  readonly idleTimeoutMs?: number;
  /** Streams at a time in one worker; 65 536. Those beyond are refused. */
  readonly streamsMax?: number;
}

export interface SteerOptions {
  /** Directory of the cgroup whose processes are meant, and of those below. The gateway's own are never steered. */
  readonly cgroup: string;
  /** Of the destinations, by the listen's protocol; IPv4 and IPv6. */
  readonly ports: readonly number[];
  /** How long connections are still turned to a gateway that has died or hangs; then they go straight. 3000. */
  readonly leaseMs?: number;
}
