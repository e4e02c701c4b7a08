/**
 * Records a guest's life as what crosses its boundary, in order: the host enters it, it calls the host, which writes into its
 * memory and answers, it comes back. Of every kind of guest the same, since nothing else moves one: `wasm-replay.ts` runs it again
 * from that alone.
 */
import type { Guest } from "#wasm/guest/guest.ts";
import type { HostCall, HostFunction, Interposer } from "#wasm/guest/runtime.ts";

export type Value = number | bigint | undefined;

/** `fuel` is what is left then. Entries nest: a host call may ask the guest for memory. */
export type RecordedEvent =
  /** The host calls an export. */
  | { readonly kind: "enter"; readonly name: string; readonly args: readonly Value[]; readonly fuel: number }
  | { readonly kind: "exit"; readonly result: Value; readonly trap: string | null; readonly fuel: number }
  /** The guest calls an import, `module.name`. */
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Value[]; readonly fuel: number }
  /** What a host call puts into the memory, or what puts the guest back. */
  | { readonly kind: "write"; readonly pointer: number; readonly bytes: Uint8Array }
  | { readonly kind: "answer"; readonly result: Value; readonly trap: string | null; readonly fuel: number };

/** Of one guest. */
export interface Recording {
  readonly memoryBytes: number;
  readonly events: readonly RecordedEvent[];
  /** Its memory as it is now. */
  memory(): Uint8Array;
}

export class Recorder implements Interposer {
  readonly #recordings = new Map<Guest, RecordedEvent[]>();

  /** In the order in which the guests were made. */
  get recordings(): readonly Recording[] {
    return [...this.#recordings].map(([guest, events]) => ({
      memoryBytes: guest.environment.spec.limits.memoryBytes,
      events,
      memory: () => guest.bytes.slice(),
    }));
  }

  #eventsOf(guest: Guest): RecordedEvent[] {
    const known = this.#recordings.get(guest);
    if (known !== undefined) return known;
    const events: RecordedEvent[] = [];
    this.#recordings.set(guest, events);
    guest.onWrite = (pointer, length) => {
      events.push({ kind: "write", pointer, bytes: guest.bytes.slice(pointer, pointer + length) });
    };
    return events;
  }

  readonly hostCall: Interposer["hostCall"] = (call, run, guest) => {
    const events = this.#eventsOf(guest);
    const name = nameOf(call);
    const over = (result: Value, trap: string | null): Value => {
      events.push({ kind: "answer", result, trap, fuel: guest.fuelLeft() });
      return result;
    };
    return ((...args) => {
      events.push({ kind: "call", name, args, fuel: guest.fuelLeft() });
      return watched(() => run(...args), over);
    }) as HostFunction;
  };

  readonly entry: NonNullable<Interposer["entry"]> = (name, run, guest) => {
    const events = this.#eventsOf(guest);
    const over = (result: Value, trap: string | null): Value => {
      events.push({ kind: "exit", result, trap, fuel: guest.fuelLeft() });
      return result;
    };
    return (...all) => {
      // Callbacks are handed more than some versions of them take.
      const args = all.slice(0, run.length);
      events.push({ kind: "enter", name, args, fuel: guest.fuelLeft() });
      return watched(() => run(...args), over);
    };
  };
}

export function nameOf({ module, name }: Pick<HostCall, "module" | "name">): string {
  return `${module}.${name}`;
}

function watched(run: () => unknown, over: (result: Value, trap: string | null) => Value): unknown {
  const failed = (error: unknown): never => {
    over(undefined, messageOf(error));
    throw error;
  };
  let result: unknown;
  try {
    result = run();
  } catch (error) {
    return failed(error);
  }
  if (result instanceof Promise) return result.then((value: Value) => over(value, null), failed);
  return over(result as Value, null);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
