/**
 * A port interceptor: one program with its own configuration, on as many devices as are declared. Verified here and
 * attached nowhere; `places.ts` says where it is.
 */
import { sumPerCpu } from "#bpf/kernel/counters.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import type { BpfMap } from "#bpf/kernel/map.ts";
import { committedSpec } from "#bpf/kernel/objects.ts";
import type { Program } from "#bpf/kernel/program.ts";
import type { ListenerDeclaration } from "#bpf/manager/declarations.ts";
import { Leases } from "#bpf/programs/steer/leases.ts";
import { interceptorConfig, portSet } from "./config.ts";
import type { InterceptorDeclaration } from "./declaration.ts";

/** The page of deadlines that all interceptors of a gateway share. */
export class InterceptorLeases {
  readonly leases: Leases;
  readonly map: BpfMap;
  readonly #collection: Collection;

  constructor() {
    this.#collection = Collection.load(committedSpec("interceptor"), { programs: [] });
    this.map = this.#collection.map("interceptor_leases");
    this.leases = new Leases(this.map);
  }

  close(): void {
    this.#collection.close();
  }
}

export class Interceptor {
  readonly declaration: InterceptorDeclaration;
  readonly listener: ListenerDeclaration;
  readonly slot: number;
  readonly #shared: InterceptorLeases;
  readonly #collection: Collection;

  /** Loads and verifies; its lease has not begun. Throws; then nothing is left. */
  constructor(declaration: InterceptorDeclaration, listener: ListenerDeclaration, shared: InterceptorLeases) {
    this.declaration = declaration;
    this.listener = listener;
    this.#shared = shared;
    this.slot = shared.leases.reserve(declaration.leaseMs);
    try {
      this.#collection = Collection.load(committedSpec("interceptor"), {
        maps: { interceptor_leases: shared.map },
        globals: {
          interceptor_config: interceptorConfig(listener.addresses, this.slot),
          interceptor_ports: portSet(declaration.ports),
        },
      });
    } catch (error) {
      shared.leases.release(this.slot);
      throw error;
    }
  }

  get program(): Program {
    return this.#collection.program("interceptor");
  }

  /** Whether this program can stay under that declaration; where it stands is another matter. */
  fits({ ports, leaseMs }: InterceptorDeclaration, listener: ListenerDeclaration): boolean {
    return (
      this.declaration.leaseMs === leaseMs &&
      same(this.declaration.ports, ports) &&
      same(this.listener.addresses, listener.addresses)
    );
  }

  renew(): void {
    this.#shared.leases.renew([this.slot]);
  }

  /** 0: lapsed, and connections go to whoever listens on the port they asked for. */
  leaseRemainingMs(): number {
    return this.#shared.leases.remainingMs(this.slot);
  }

  /** Connections (`diverted`), and segments that were let alone, since it was loaded. */
  counters(): InterceptorCounters {
    const [diverted = 0, leaseExpired = 0, noListener = 0, routed = 0, refused = 0] = sumPerCpu(
      this.#collection.map("interceptor_counters"),
    );
    return { diverted, leaseExpired, noListener, routed, refused };
  }

  close(): void {
    this.#shared.leases.release(this.slot);
    this.#collection.close();
  }
}

/** By the names of interceptor_consts.h. */
export interface InterceptorCounters {
  readonly diverted: number;
  readonly leaseExpired: number;
  /** Nobody listens at the listener's address. */
  readonly noListener: number;
  /** For other hosts, which this one only routes to. */
  readonly routed: number;
  /** The kernel would not hand the listener over. */
  readonly refused: number;
}

function same<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i]);
}
