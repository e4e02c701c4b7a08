;; A level that logs do not have.
;; EXPECT fault host-call
(module
  (import "penstock" "log" (func $h (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (call $h (i32.const 4) (i32.const 0) (i32.const 0)) (i32.const 0)))
