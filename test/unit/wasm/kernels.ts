/** Modules that between them use every control-flow instruction, in and around loops, with calls and without. */
export interface Kernel {
  readonly name: string;
  readonly source: string;
  /** Exported function and its arguments. */
  readonly calls: readonly (readonly [string, readonly (number | bigint)[]])[];
}

const body = (text: string) => `(module (func (export "f") (param i32) (result i32) (local i32 i32) ${text}))`;
const inputs = (...values: number[]) => values.map((value) => ["f", [value]] as const);

export const KERNELS: readonly Kernel[] = [
  { name: "empty function", source: `(module (func (export "f") (param i32)))`, calls: inputs(1) },
  { name: "straight line", source: body(`(i32.add (local.get 0) (i32.const 1))`), calls: inputs(1, -1, 2147483647) },
  {
    name: "block and br",
    source: body(`(block $a (result i32) (br $a (i32.const 5)) (unreachable))`),
    calls: inputs(0),
  },
  {
    name: "br_if to the function",
    source: body(`(br_if 0 (i32.const 9) (local.get 0)) (drop) (i32.const 3)`),
    calls: inputs(0, 1),
  },
  {
    name: "br to the function out of a loop",
    source: body(`(loop $l (local.set 1 (i32.add (local.get 1) (i32.const 1)))
      (if (i32.gt_s (local.get 1) (local.get 0)) (then (br 2 (local.get 1)))) (br $l)) (unreachable)`),
    calls: inputs(0, 1, 50),
  },
  {
    name: "return out of nested loops",
    source: body(`(loop $a (local.set 2 (i32.const 0)) (loop $b
      (local.set 2 (i32.add (local.get 2) (i32.const 1)))
      (if (i32.eq (i32.mul (local.get 1) (local.get 2)) (local.get 0)) (then (return (local.get 2))))
      (br_if $b (i32.lt_s (local.get 2) (i32.const 8))))
      (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br_if $a (i32.lt_s (local.get 1) (i32.const 8))))
      (i32.const -1)`),
    calls: inputs(0, 6, 49, 100),
  },
  {
    name: "if without else",
    source: body(`(if (local.get 0) (then (local.set 1 (i32.const 4)))) (local.get 1)`),
    calls: inputs(0, 1),
  },
  {
    name: "if else with values",
    source: body(`(if (result i32) (local.get 0) (then (i32.const 1)) (else (loop $l
      (br_if $l (i32.lt_s (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 20)))) (i32.const 2)))`),
    calls: inputs(0, 1),
  },
  {
    name: "br_table",
    source: body(`(block $c (block $b (block $a (br_table $a $b $c $a (local.get 0))) (return (i32.const 1)))
      (return (i32.const 2))) (i32.const 3)`),
    calls: inputs(0, 1, 2, 3, -1),
  },
  {
    name: "br_table with values to the function",
    source: body(`(block $a (result i32) (br_table $a 1 $a (i32.const 7) (local.get 0))) (i32.const 1) (i32.add)`),
    calls: inputs(0, 1, 2),
  },
  {
    name: "loop with parameters and results",
    source: `(module (func (export "f") (param i32) (result i32) (local i32)
      (local.get 0) (loop $l (param i32) (result i32) (i32.const 1) (i32.sub) (local.tee 1)
      (br_if $l (i32.gt_s (local.get 1) (i32.const 0))))))`,
    calls: inputs(1, 10),
  },
  {
    name: "calls around and inside loops",
    source: `(module (global $g (export "g") (mut i32) (i32.const 0))
      (func $tick (global.set $g (i32.add (global.get $g) (i32.const 1))))
      (func (export "f") (param i32) (result i32) (local i32)
        (call $tick) (loop $l (call $tick) (br_if $l (i32.lt_s (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (local.get 0))))
        (loop $m (br_if $m (i32.gt_s (local.tee 1 (i32.sub (local.get 1) (i32.const 1))) (i32.const 0)))) (call $tick) (global.get $g)))`,
    calls: inputs(1, 5),
  },
  {
    name: "recursion",
    source: `(module (func $f (export "f") (param i32) (result i32) (if (result i32) (i32.lt_s (local.get 0) (i32.const 2))
      (then (local.get 0)) (else (i32.add (call $f (i32.sub (local.get 0) (i32.const 1))) (call $f (i32.sub (local.get 0) (i32.const 2))))))))`,
    calls: inputs(1, 12),
  },
  {
    name: "call_indirect, also to the wrong type",
    source: `(module (type $t (func (param i32) (result i32))) (table 3 funcref) (elem (i32.const 0) $a $b)
      (func $a (param i32) (result i32) (local.get 0)) (func $b)
      (func (export "f") (param i32) (result i32) (loop $l (result i32) (call_indirect (type $t) (i32.const 5) (local.get 0)))))`,
    calls: inputs(0, 1, 2, 3),
  },
  {
    name: "tail calls",
    source: `(module (type $t (func (param i32 i32) (result i32))) (table 1 funcref) (elem (i32.const 0) $sum)
      (func $sum (param i32 i32) (result i32) (local i32)
        (loop $l (br_if $l (i32.lt_s (local.tee 2 (i32.add (local.get 2) (i32.const 1))) (i32.const 3))))
        (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
        (return_call $sum (i32.sub (local.get 0) (i32.const 1)) (i32.add (local.get 1) (local.get 0))))
      (func (export "f") (param i32) (result i32) (return_call_indirect (type $t) (local.get 0) (i32.const 0) (i32.const 0))))`,
    calls: inputs(0, 1, 50_000),
  },
  {
    name: "memory.grow in and out of loops",
    source: `(module (memory (export "memory") 1 4) (func (export "f") (param i32) (result i32) (local i32 i32)
      (loop $l (local.set 2 (i32.add (local.get 2) (memory.grow (i32.const 1))))
        (br_if $l (i32.lt_s (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (local.get 0))))
      (loop $m (br_if $m (i32.gt_s (local.tee 1 (i32.sub (local.get 1) (i32.const 1))) (i32.const 0))))
      (i32.add (local.get 2) (i32.mul (i32.const 100) (memory.size)))))`,
    calls: inputs(1, 3, 6),
  },
  {
    name: "memory.grow beyond any number",
    source: `(module (memory (export "memory") 1) (func (export "f") (param i32) (result i32) (memory.grow (local.get 0))))`,
    calls: inputs(-1, 65_536, 2_147_483_647),
  },
  {
    name: "bulk memory, in call-free loops too",
    source: `(module (memory (export "memory") 1) (data $d "penstock") (func (export "f") (param i32) (result i32) (local i32)
      (memory.init $d (i32.const 8) (i32.const 0) (i32.const 8)) (data.drop $d)
      (loop $l (memory.fill (local.get 0) (local.get 1) (i32.const 64)) (memory.copy (i32.const 32) (i32.const 4) (local.get 0))
        (br_if $l (i32.lt_s (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 5))))
      (i32.load (i32.const 8))))`,
    calls: inputs(0, 100, 65_536, -1),
  },
  {
    name: "bulk memory without loops",
    source: `(module (memory (export "memory") 1) (func (export "f") (param i32) (memory.fill (i32.const 0) (i32.const 1) (local.get 0))))`,
    calls: inputs(0, 1000, 65_536, 65_537, -1),
  },
  {
    name: "tables",
    source: `(module (table $t 2 20 funcref) (elem $e func $x) (func $x) (func (export "f") (param i32) (result i32)
      (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop $e)
      (table.fill $t (i32.const 1) (ref.func $x) (i32.const 1)) (table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 1))
      (table.set $t (i32.const 0) (table.get $t (i32.const 1))) (drop (ref.is_null (ref.null func)))
      (i32.add (table.grow $t (ref.null func) (local.get 0)) (table.size $t))))`,
    calls: inputs(0, 3, 100, -1),
  },
  {
    name: "traps of the guest's own",
    source: body(`(loop $l (br_if $l (i32.lt_s (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 3))))
      (i32.div_s (i32.const 1) (local.get 0))`),
    calls: inputs(0, 1),
  },
  {
    name: "several results",
    source: `(module (func $two (param i32) (result i32 i32) (local i32) (i32.const 4) (i32.const 9) (br_if 0 (local.get 0))
      (loop $l (br_if $l (i32.lt_s (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 3)))) (drop) (local.get 1))
      (func (export "f") (param i32) (result i32) (call $two (local.get 0)) (i32.sub)))`,
    calls: inputs(0, 1),
  },
  {
    name: "start function",
    source: `(module (global $g (export "g") (mut i32) (i32.const 1)) (start $s) (func $s (global.set $g (i32.const 77)))
      (func (export "f") (param i32) (result i32) (i32.add (global.get $g) (local.get 0))))`,
    calls: inputs(0, 1),
  },
  {
    name: "64 bit, floats and SIMD",
    source: `(module (memory 1) (func (export "f") (param i32) (result i32) (local i64 f64 v128)
      (local.set 1 (i64.mul (i64.extend_i32_s (local.get 0)) (i64.const -7)))
      (local.set 2 (f64.sqrt (f64.convert_i64_s (local.get 1))))
      (local.set 3 (i32x4.add (i32x4.splat (local.get 0)) (v128.const i32x4 1 2 3 4)))
      (v128.store (i32.const 0) (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (local.get 3) (local.get 3)))
      (i32.add (i32.trunc_sat_f64_s (local.get 2)) (i32x4.extract_lane 2 (v128.load (i32.const 0))))))`,
    calls: inputs(0, 5, -5),
  },
  {
    name: "select, drop, nop and code that can't be reached",
    source:
      body(`(nop) (drop (select (i32.const 1) (i32.const 2) (local.get 0))) (block $b (br $b) (loop $l (memory.grow (i32.const 1)) (drop) (br $l)))
      (select (result i32) (i32.const 1) (i32.const 2) (local.get 0))`).replace("(module", "(module (memory 1)"),
    calls: inputs(0, 1),
  },
];
