;; Goes on, for ever, after a call that was refused.
;; EXPECT fault host-call
(module
  (import "penstock" "header_get" (func $h (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (drop (call $h (i32.const 2) (i32.const 1) (i32.const 0) (i32.const 0))) (loop (br 0)) (unreachable)))
