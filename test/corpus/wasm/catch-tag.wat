;; A tag, to throw with.
;; EXPECT refused exception handling
(module
  (memory (export "memory") 1)
  (tag $t (param i32))
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.const 0)))
