/** What the gateway is doing, as the supervisor tells it: processes, listeners, the kernel part, and what is counted. */
import type { MapSpec } from "#snapshot/snapshot.ts";

export interface GatewayStatus {
  readonly version: string;
  readonly startedAtMs: number;
  /** Revision and digest that the workers run; 0 and empty before the first. */
  readonly revision: number;
  readonly digest: string;
  readonly workers: readonly WorkerStatus[];
  readonly listeners: readonly ListenerStatus[];
  readonly kernel: KernelStatus;
  readonly metrics: readonly MetricFamily[];
}

export interface WorkerStatus {
  readonly worker: number;
  readonly pid: number;
  readonly state: "starting" | "ready" | "draining" | "down";
  readonly revision: number;
  readonly restarts: number;
  /** `io_uring` or `epoll`. */
  readonly driver: string;
}

export interface ListenerStatus {
  readonly name: string;
  /** As bound: the port is the real one where 0 was asked for. */
  readonly address: string;
  readonly error?: string;
}

export interface KernelStatus {
  /** True: maps and programs are in the kernel. False: maps live in user space, `notes` says why. */
  readonly active: boolean;
  readonly notes: readonly string[];
  /** How things stand, a line each: leases, endpoints, what awaits confirmation. */
  readonly facts: readonly string[];
  readonly programs: readonly {
    readonly name: string;
    /** `xdp:eth0 (native)`, `cgroup:/sys/fs/cgroup/unified/apps`. */
    readonly attachedTo: string;
    readonly programId: number;
    readonly linkId: number;
    /** Not attached by this gateway; shown, never touched. */
    readonly foreign: boolean;
  }[];
  readonly maps: readonly (MapSpec & { readonly entries: number; readonly inKernel: boolean })[];
}

/** One OpenMetrics family. Counters are named without `_total`; it is added on rendering. */
export interface MetricFamily {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly samples: readonly MetricSample[];
}

export interface MetricSample {
  /** Of a histogram's: `_bucket`, `_count`, `_sum`. */
  readonly suffix?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}
