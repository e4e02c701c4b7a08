;; A global of the gateway's.
;; EXPECT refused only functions
(module
  (import "penstock" "fuel" (global (mut i32)))
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.const 0)))
