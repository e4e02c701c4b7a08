;; A property that every object has.
;; EXPECT refused unknown import
(module
  (import "penstock" "constructor" (func))
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.const 0)))
