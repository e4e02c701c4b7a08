/**
 * Random modules: structured programs over a few locals, a memory and a table, with every kind of branch. They always
 * end, because a loop goes round only while its own counter, which nothing else writes, is below a bound.
 */
export interface Random {
  /** An integer in [0, max]. */
  upTo(max: number): number;
}

const I32_LOCALS = 4;
const BINARY = [
  "add",
  "sub",
  "mul",
  "and",
  "or",
  "xor",
  "shl",
  "shr_u",
  "rotl",
  "div_s",
  "rem_u",
  "lt_s",
  "ge_u",
  "eq",
];
const UNARY = ["eqz", "clz", "ctz", "popcnt", "extend8_s"];

interface Scope {
  /** Labels that a branch may take, innermost last: blocks and the function, not loops. */
  readonly labels: readonly string[];
  readonly depth: number;
  readonly inLoop: boolean;
}

export class ModuleGenerator {
  readonly #random: Random;
  #names = 0;
  #counters: string[] = [];
  #size = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Text of a module that exports `f` and `memory`. */
  module(): string {
    const functions: string[] = [];
    for (let index = 0; index < 3; index++) functions.push(this.#function(index));
    return `(module (memory (export "memory") 1 3) (type $t (func (param i32) (result i32)))
      (table 4 funcref) (elem (i32.const 0) $f0 $f1) (global $g (export "g") (mut i32) (i32.const 0))
      (data $d "0123456789")
      ${functions.join("\n")} (export "f" (func $f2)))`;
  }

  /** `$f0`, `$f1`, `$f2`: each calls only those before it, so there is no recursion. */
  #function(index: number): string {
    this.#counters = [];
    this.#size = 0;
    const scope: Scope = { labels: [], depth: 0, inLoop: false };
    const statements = this.#statements(scope, index);
    const last = this.#value(scope, index, 3);
    const locals = Array.from({ length: I32_LOCALS - 1 }, (_, local) => `(local $v${local + 1} i32)`).join(" ");
    const counters = this.#counters.map((name) => `(local ${name} i32)`).join(" ");
    return `(func $f${index} (param $v0 i32) (result i32) ${locals} ${counters} ${statements} ${last})`;
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#random.upTo(items.length - 1)] as T;
  }

  #statements(scope: Scope, index: number): string {
    const count = this.#random.upTo(scope.depth === 0 ? 6 : 3);
    let text = "";
    for (let at = 0; at < count; at++) text += this.#statement(scope, index);
    return text;
  }

  #statement(scope: Scope, index: number): string {
    this.#size++;
    const small = scope.depth > 4 || this.#size > 60;
    const value = () => this.#value(scope, index, 2);
    const inner = (label?: string, inLoop = scope.inLoop): Scope => ({
      labels: label === undefined ? scope.labels : [...scope.labels, label],
      depth: scope.depth + 1,
      inLoop,
    });
    switch (this.#random.upTo(small ? 7 : 12)) {
      case 0:
      case 1:
        return `(local.set $v${this.#random.upTo(I32_LOCALS - 1)} ${value()})`;
      case 2:
        return `(i32.store (i32.and ${value()} (i32.const 4095)) ${value()})`;
      case 3:
        return `(global.set $g (i32.add (global.get $g) ${value()}))`;
      case 4:
        return this.#branch(scope, value);
      case 5:
        return this.#bulk(value);
      case 6:
        return `(if ${value()} (then (return ${value()})))`;
      case 7:
        return this.#random.upTo(9) === 0 ? `(drop (memory.grow (i32.const ${this.#random.upTo(2)})))` : "(nop)";
      case 8: {
        const label = this.#name("b");
        return `(block ${label} ${this.#statements(inner(label), index)})`;
      }
      case 9:
        return `(if ${value()} (then ${this.#statements(inner(), index)}) (else ${this.#statements(inner(), index)}))`;
      case 10:
        return this.#branchTable(scope, value);
      default:
        return this.#loop(scope, index, inner);
    }
  }

  #name(prefix: string): string {
    return `$${prefix}${this.#names++}`;
  }

  /** Out of a block, or out of the function by its own label, which takes the result along. */
  #branch(scope: Scope, value: () => string): string {
    if (scope.labels.length > 0) return `(br_if ${this.#pick(scope.labels)} ${value()})`;
    return scope.depth === 0 ? `(drop (br_if 0 ${value()} ${value()}))` : "(nop)";
  }

  #branchTable(scope: Scope, value: () => string): string {
    if (scope.labels.length === 0) return `(if ${value()} (then (return (local.get $v1))))`;
    const labels = Array.from({ length: this.#random.upTo(3) + 1 }, () => this.#pick(scope.labels));
    return `(if ${value()} (then (br_table ${labels.join(" ")} ${value()})))`;
  }

  #bulk(value: () => string): string {
    const small = () => `(i32.and ${value()} (i32.const 255))`;
    return this.#pick([
      `(memory.fill ${small()} ${value()} ${small()})`,
      `(memory.copy ${small()} ${small()} ${small()})`,
      `(memory.init $d ${small()} (i32.and ${value()} (i32.const 7)) (i32.const 3))`,
      `(table.set (i32.const 2) (table.get (i32.and ${value()} (i32.const 1))))`,
    ]);
  }

  #loop(scope: Scope, index: number, inner: (label?: string, inLoop?: boolean) => Scope): string {
    const counter = this.#name("c");
    const label = this.#name("l");
    this.#counters.push(counter);
    const step = `(local.tee ${counter} (i32.add (local.get ${counter}) (i32.const 1)))`;
    const turns = `(i32.const ${this.#random.upTo(scope.inLoop ? 4 : 12) + 1})`;
    const body = this.#statements(inner(undefined, true), index);
    return `(local.set ${counter} (i32.const 0)) (loop ${label} ${body} (br_if ${label} (i32.lt_u ${step} ${turns})))`;
  }

  #value(scope: Scope, index: number, depth: number): string {
    const sub = () => this.#value(scope, index, depth - 1);
    const choice = depth <= 0 ? this.#random.upTo(2) : this.#random.upTo(8);
    switch (choice) {
      case 0:
        return `(i32.const ${this.#random.upTo(20) - 5})`;
      case 1:
      case 2:
        return `(local.get $v${this.#random.upTo(I32_LOCALS - 1)})`;
      case 3:
      case 4:
        return `(i32.${this.#pick(BINARY)} ${sub()} ${sub()})`;
      case 5:
        return `(i32.${this.#pick(UNARY)} ${sub()})`;
      case 6:
        return `(i32.load (i32.and ${sub()} (i32.const 4095)))`;
      case 7:
        return `(if (result i32) ${sub()} (then ${sub()}) (else ${sub()}))`;
      default:
        return this.#call(scope, index, sub);
    }
  }

  #call(scope: Scope, index: number, sub: () => string): string {
    // Calls in nested loops would multiply beyond what a test has time for.
    if (index === 0 || (scope.inLoop && this.#random.upTo(2) > 0)) return `(select ${sub()} ${sub()} ${sub()})`;
    if (index === 2 && this.#random.upTo(1) === 0) {
      return `(call_indirect (type $t) ${sub()} (i32.and ${sub()} (i32.const 3)))`;
    }
    return `(call $f${this.#random.upTo(index - 1)} ${sub()})`;
  }
}
