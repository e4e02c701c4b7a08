;; A map that was never opened.
;; EXPECT fault host-call
(module
  (import "penstock" "map_get" (func $h (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (drop (call $h (i32.const 0) (i32.const 0) (i32.const 16) (i32.const 0) (i32.const 8))) (i32.const 0)))
