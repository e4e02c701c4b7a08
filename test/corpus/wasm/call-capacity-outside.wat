;; Wants the method written to nowhere.
;; EXPECT fault host-call
(module
  (import "penstock" "request_part" (func $h (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (drop (call $h (i32.const 0) (i32.const -1) (i32.const 100))) (i32.const 0)))
