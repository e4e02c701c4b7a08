/** What a filter counts. Plain fields, written on the hot path; read by whoever reports them. */
import type { Fault, FaultCause } from "#wasm/guest/faults.ts";

export class FilterStats {
  /** Hooks that were run. */
  calls = 0;
  /** Fuel of all of them; of a call that ended in a trap, up to where it was last stored. */
  fuel = 0;
  faults = 0;
  /** How often the breaker has opened. */
  rests = 0;
  /** Answered by `onFault` without a run: the breaker was open, or no guest was free. */
  skipped = 0;
  /** Answered by `onFault` without a run: the tenant's fuel of the second was used up. */
  throttled = 0;
  /** Guests whose exchange ended while they waited. */
  abandoned = 0;
  lastFault: Fault | null = null;
  readonly faultsByCause: Record<FaultCause, number> = {
    fuel: 0,
    trap: 0,
    stack: 0,
    memory: 0,
    deadline: 0,
    "host-call": 0,
    host: 0,
    configure: 0,
  };

  record(fault: Fault): void {
    this.faults++;
    this.faultsByCause[fault.cause]++;
    this.lastFault = fault;
  }
}
