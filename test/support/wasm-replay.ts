/**
 * Runs a recorded guest again: module and recording are all that it needs. Nothing of the gateway runs, host calls have no effect, and
 * nothing is waited for. A guest that does otherwise than it did, by its calls, results or fuel, is found out.
 */
import { isDeepStrictEqual } from "node:util";
import { EXPORT_MEMORY } from "#sdk/types/abi.ts";
import { EXPORT_FUEL, EXPORT_REFUEL } from "#wasm/meter/additions.ts";
import { boundInstance } from "#wasm/guest/instantiate-module.ts";
import type { GuestFunction, LoadedModule } from "#wasm/guest/runtime.ts";
import { messageOf, nameOf, type RecordedEvent, type Recording, type Value } from "./wasm-recording.ts";

export interface Replayed {
  /** What was first otherwise than recorded; null: nothing. */
  readonly difference: string | null;
  /** Of each entry that came back, nested ones included. */
  readonly results: readonly unknown[];
  readonly memory: Uint8Array;
}

export function replay(loaded: Pick<LoadedModule, "module" | "calls">, recording: Recording): Replayed {
  return new Replay(loaded, recording).run();
}

/** Ends a guest that has left the recording, or has come to its end. No guest can catch it: exceptions are none of theirs. */
class Over extends Error {}

type Kind = RecordedEvent["kind"];
type Of<K extends Kind> = Extract<RecordedEvent, { kind: K }>;

class Replay {
  readonly #events: readonly RecordedEvent[];
  readonly #exports: Readonly<Record<string, unknown>>;
  readonly #fuel: () => number;
  readonly #refuel: (fuel: number) => void;
  readonly #results: unknown[] = [];
  #at = 0;
  #difference: string | null = null;

  constructor({ module, calls }: Pick<LoadedModule, "module" | "calls">, { events, memoryBytes }: Recording) {
    this.#events = events;
    const imports: Record<string, WebAssembly.ModuleImports> = {};
    for (const call of calls) {
      const name = nameOf(call);
      (imports[call.module] ??= {})[call.name] = (...args: Value[]) => this.#called(name, args);
    }
    this.#exports = boundInstance(module, imports, memoryBytes);
    this.#fuel = this.#exports[EXPORT_FUEL] as () => number;
    this.#refuel = this.#exports[EXPORT_REFUEL] as (fuel: number) => void;
  }

  get #bytes(): Uint8Array {
    return new Uint8Array((this.#exports[EXPORT_MEMORY] as WebAssembly.Memory).buffer);
  }

  run(): Replayed {
    try {
      this.#between();
      if (this.#at < this.#events.length) this.#differs(`the host did ${this.#events[this.#at]?.kind} in between`);
    } catch (error) {
      if (!(error instanceof Over)) throw error;
    }
    return { difference: this.#difference, results: this.#results, memory: this.#bytes };
  }

  /** What the host did by itself: writes, and entries. */
  #between(): void {
    for (let event = this.#events[this.#at]; event !== undefined; event = this.#events[this.#at]) {
      if (event.kind === "write") this.#bytes.set(event.bytes, event.pointer);
      else if (event.kind !== "enter") return;
      this.#at++;
      if (event.kind === "enter") this.#enter(event);
    }
  }

  #enter({ name, args, fuel }: Of<"enter">): void {
    this.#refuel(fuel);
    let trap: string | null = null;
    let result: Value;
    try {
      result = (this.#exports[name] as GuestFunction)(...(args as (number | bigint)[])) as Value;
    } catch (error) {
      if (error instanceof Over) throw error;
      trap = messageOf(error);
    }
    this.#same("exit", `${name} came back`, { result, trap, fuel: this.#fuel() });
    this.#results.push(trap ?? result);
  }

  #called(name: string, args: readonly Value[]): Value {
    this.#same("call", `${name} was called`, { name, args, fuel: this.#fuel() });
    this.#between();
    const answer = this.#next("answer", `${name} was to be answered`);
    this.#refuel(answer.fuel);
    if (answer.trap !== null) throw new Error(answer.trap);
    return answer.result;
  }

  #next<K extends Kind>(kind: K, what: string): Of<K> {
    const event = this.#events[this.#at];
    if (event === undefined) throw new Over();
    if (event.kind !== kind) this.#differs(`${what}, recorded was ${told(event)}`);
    this.#at++;
    return event as Of<K>;
  }

  /** The recording has this next, and just so. */
  #same<K extends "exit" | "call">(kind: K, what: string, own: Omit<Of<K>, "kind">): void {
    const event = this.#next(kind, `${what}: ${told(own)}`);
    if (!isDeepStrictEqual(event, { kind, ...own }))
      this.#differs(`${what}: ${told(own)}, recorded was ${told(event)}`);
  }

  #differs(difference: string): never {
    this.#difference ??= `event ${this.#at}: ${difference}`;
    throw new Over();
  }
}

function told(event: object): string {
  const short = (_: string, value: unknown): unknown => {
    if (value instanceof Uint8Array) return `${value.length} bytes`;
    return typeof value === "bigint" ? String(value) : value;
  };
  return JSON.stringify(event, short);
}
