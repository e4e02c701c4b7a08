;; A host call in a loop.
;; EXPECT fault fuel
(module
  (import "penstock" "header_get" (func $h (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (loop (drop (call $h (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0))) (br 0)) (unreachable)))
