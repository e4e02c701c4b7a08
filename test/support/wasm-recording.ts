/**
 * Records what host calls answer and write into a guest's memory, and plays it back: for a replayed guest there is no gateway, no
 * clock and no chance but the recording. Built on the one table that all host calls go through; a guest that asks otherwise than
 * it did when it was recorded is found out.
 */
import { isDeepStrictEqual } from "node:util";
import type { Guest } from "#wasm/guest/guest.ts";
import type { HostCall, HostFunction, Interpose } from "#wasm/guest/runtime.ts";

export interface RecordedCall {
  readonly name: string;
  readonly args: readonly (number | bigint)[];
  readonly result: number | bigint | undefined;
  /** What the host has charged. */
  readonly fuel: number;
  readonly writes: readonly { readonly pointer: number; readonly bytes: Uint8Array }[];
}

export class Recorder {
  readonly calls: RecordedCall[] = [];

  readonly interpose: Interpose =
    (call, run, guest) =>
    (...args) => {
      const writes: { pointer: number; bytes: Uint8Array }[] = [];
      guest.onWrite = (pointer, length) =>
        writes.push({ pointer, bytes: guest.bytes.slice(pointer, pointer + length) });
      const before = guest.fuelLeft();
      const keep = (result: number | bigint | undefined) => {
        this.calls.push({ name: nameOf(call), args, result, fuel: before - guest.fuelLeft(), writes });
        return result;
      };
      const result = run(...args);
      guest.onWrite = null;
      return result instanceof Promise ? (result.then(keep) as Promise<number>) : keep(result);
    };
}

/** What host calls do to the guest alone (`effect: none`) is done again; everything else is as it was recorded. */
export class Replayer {
  readonly #calls: readonly RecordedCall[];
  #at = 0;
  /** Why the guest was not the one that was recorded; null: it was. */
  difference: string | null = null;

  constructor(calls: readonly RecordedCall[]) {
    this.#calls = calls;
  }

  get done(): boolean {
    return this.#at === this.#calls.length;
  }

  readonly interpose: Interpose =
    (call, run, guest) =>
    (...args) => {
      const recorded = this.#calls[this.#at++];
      if (recorded === undefined || recorded.name !== nameOf(call) || !isDeepStrictEqual(recorded.args, args)) {
        this.difference ??= `call ${this.#at}: ${nameOf(call)}(${args.join()}), recorded was ${recorded?.name}(${recorded?.args.join()})`;
        guest.fail("it is not what was recorded");
        return call.suppressed;
      }
      return call.effect === "none" ? run(...args) : replayed(recorded, guest);
    };
}

function replayed({ result, fuel, writes }: RecordedCall, guest: Guest): ReturnType<HostFunction> {
  for (const { pointer, bytes } of writes) guest.bytes.set(bytes, pointer);
  if (fuel > 0) guest.charge(fuel);
  return result;
}

function nameOf({ module, name }: HostCall): string {
  return `${module}.${name}`;
}
