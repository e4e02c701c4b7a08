;; A reply with a status that is none.
;; EXPECT fault host-call
(module
  (import "penstock" "reply" (func $h (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (call $h (i32.const 100) (i32.const 0) (i32.const 0)) (i32.const 1)))
