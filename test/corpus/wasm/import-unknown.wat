;; A host call that there is not.
;; EXPECT refused unknown import penstock.exec
(module
  (import "penstock" "exec" (func (param i32)))
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.const 0)))
