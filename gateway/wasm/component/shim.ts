/**
 * From a call of the world to one of the core interface: a function of ours in the joined module, so that what a component is
 * answered is allocated by its own code, and every host call stays what it is for other plugins.
 *
 *     header(head, name, name length, answer) ─▶ id = name_id(name), length = header_get(head, id, 0, 0),
 *                                                at = realloc(length), header_get(head, id, at, length), answer = (1, at, length)
 */
import type { AbiFunctionName } from "#sdk/types/abi.ts";
import type { ByteWriter } from "#wasm/meter/writer.ts";
import { F64, type FunctionType, I32, I64 } from "#wasm/validate/types.ts";
import { Assembler, DROP, EMPTY, END, I32_LT_S, I32_NE, IF, RETURN } from "./assembler.ts";
import type { Answer, Parameter, WorldFunction } from "./world.ts";

/** What the joined module has for a shim to call. */
export interface Surroundings {
  host(call: AbiFunctionName): number;
  /** Null: the component has not said how it allocates. */
  readonly realloc: number | null;
}

/** A function of ours that stands in for an import of the component. */
export interface Shim {
  readonly type: FunctionType;
  /** Host calls that it makes. */
  readonly calls: readonly AbiFunctionName[];
  readonly allocates: boolean;
  body(around: Surroundings): ByteWriter;
}

const DIGEST_BYTES = 32;
const PREFIX_BYTES = 20;

const VALUES: Readonly<Record<Parameter, readonly number[]>> = {
  i32: [I32],
  i64: [I64],
  f64: [F64],
  bytes: [I32, I32],
  name: [I32, I32],
  "20 bytes": [I32, I32],
};

/** Answers that come as they are; all others, by a pointer that is the last parameter. */
const DIRECT: Partial<Record<Answer, readonly number[]>> = { nothing: [], i32: [I32], i64: [I64], f64: [F64] };
const ALLOCATED: ReadonlySet<Answer> = new Set([
  "list",
  "some list",
  "part",
  "some part",
  "filled",
  "digest",
] satisfies Answer[]);

export function worldShim(row: WorldFunction): Shim {
  const direct = DIRECT[row.answer];
  const params = row.params.flatMap((param) => VALUES[param]);
  return {
    type: direct === undefined ? { params: [...params, I32], results: [] } : { params, results: direct },
    calls: row.params.includes("name") ? [row.call, "name_id"] : [row.call],
    allocates: ALLOCATED.has(row.answer),
    body: (around) => new ShimWriter(row, params.length, around).write(),
  };
}

class ShimWriter {
  readonly #row: WorldFunction;
  readonly #around: Surroundings;
  readonly #code = new Assembler();
  /** Locals: where the answer goes, then ours: a name's id, a pointer, a length. */
  readonly #answer: number;
  readonly #id: number;
  readonly #at: number;
  readonly #length: number;

  constructor(row: WorldFunction, paramCount: number, around: Surroundings) {
    this.#row = row;
    this.#around = around;
    this.#answer = paramCount;
    const first = paramCount + (DIRECT[row.answer] === undefined ? 1 : 0);
    this.#id = first;
    this.#at = first + 1;
    this.#length = first + 2;
  }

  write(): ByteWriter {
    this.#prepare();
    const code = this.#code;
    const { answer } = this.#row;
    switch (answer) {
      case "option":
        this.#call();
        code.set(this.#length);
        this.#someOrNone();
        code.get(this.#answer).get(this.#length).store32(4);
        break;
      case "list":
      case "some list":
        this.#call(() => code.i32(0).i32(0));
        code.set(this.#length);
        if (answer === "list") this.#atLeastNothing();
        else this.#someOrNone();
        this.#allocate(() => code.get(this.#length));
        this.#call(() => code.get(this.#at).get(this.#length));
        code.op(DROP);
        this.#giveList(answer === "list" ? 0 : 4);
        break;
      case "part":
      case "some part":
        this.#part(answer === "part");
        break;
      case "filled":
        code.get(this.#answer - 1).set(this.#length);
        this.#allocate(() => code.get(this.#length));
        code.get(this.#at).get(this.#length).call(this.#around.host(this.#row.call));
        this.#giveList(0);
        break;
      case "digest":
        code.i32(DIGEST_BYTES).set(this.#length);
        this.#allocate(() => code.get(this.#length));
        this.#call(() => code.get(this.#at));
        this.#giveList(0);
        break;
      case "record":
        this.#call(() => code.get(this.#answer));
        break;
      default:
        this.#call();
    }
    return code.body({ i32: 3, f64: 0 });
  }

  /** Room for as much as is wanted; what was not filled is given back. */
  #part(always: boolean): void {
    const code = this.#code;
    const { params, call } = this.#row;
    // The wanted number is the last parameter, or the one before the timeout.
    const wanted = always ? this.#answer - 1 : this.#answer - 2;
    this.#allocate(() => code.get(wanted));
    for (let param = 0; param < wanted; param++) code.get(param);
    code.get(this.#at).get(wanted);
    for (let param = wanted + 1; param < params.length; param++) code.get(param);
    code.call(this.#around.host(call)).set(this.#length);
    if (always) this.#atLeastNothing();
    else this.#someOrNone();
    code.get(this.#at).get(wanted).i32(1).get(this.#length).call(this.#realloc()).set(this.#at);
    this.#giveList(always ? 0 : 4);
  }

  /** Names become ids; lists that must have one length are refused with another: false. */
  #prepare(): void {
    let at = 0;
    for (const param of this.#row.params) {
      if (param === "name") {
        this.#code
          .get(at)
          .get(at + 1)
          .call(this.#around.host("name_id"))
          .set(this.#id);
      } else if (param === "20 bytes") {
        this.#code
          .get(at + 1)
          .i32(PREFIX_BYTES)
          .op(I32_NE, IF, EMPTY)
          .i32(0)
          .op(RETURN, END);
      }
      at += VALUES[param].length;
    }
  }

  #call(more?: () => void): void {
    let at = 0;
    for (const param of this.#row.params) {
      if (param === "name") this.#code.get(this.#id);
      else this.#code.get(at);
      if (param === "bytes") this.#code.get(at + 1);
      at += VALUES[param].length;
    }
    more?.();
    this.#code.call(this.#around.host(this.#row.call));
  }

  #realloc(): number {
    return this.#around.realloc ?? 0;
  }

  #allocate(length: () => void): void {
    this.#code.i32(0).i32(0).i32(1);
    length();
    this.#code.call(this.#realloc()).set(this.#at);
  }

  #giveList(offset: number): void {
    this.#code
      .get(this.#answer)
      .get(this.#at)
      .store32(offset)
      .get(this.#answer)
      .get(this.#length)
      .store32(offset + 4);
  }

  /** Ends here with none when the length is below zero; else some is said, and its value follows. */
  #someOrNone(): void {
    this.#code
      .get(this.#length)
      .i32(0)
      .op(I32_LT_S, IF, EMPTY)
      .get(this.#answer)
      .i32(0)
      .store8(0)
      .op(RETURN, END)
      .get(this.#answer)
      .i32(1)
      .store8(0);
  }

  #atLeastNothing(): void {
    this.#code.get(this.#length).i32(0).op(I32_LT_S, IF, EMPTY).i32(0).set(this.#length).op(END);
  }
}
