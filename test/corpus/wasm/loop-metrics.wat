;; Series without end: the tenant has so many, and no more.
;; EXPECT fault fuel
(module
  (import "penstock" "metric_define" (func $h (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "penstock_abi_2"))
  (func (export "on_request") (result i32) 
    (local i32) (loop (i32.store8 (i32.const 0) (i32.add (i32.const 97) (i32.and (local.get 0) (i32.const 15)))) (i32.store8 (i32.const 1) (i32.add (i32.const 97) (i32.and (i32.shr_u (local.get 0) (i32.const 4)) (i32.const 15)))) (local.set 0 (i32.add (local.get 0) (i32.const 1))) (drop (call $h (i32.const 0) (i32.const 0) (i32.const 2))) (br 0)) (unreachable)))
