;; A host call of another type.
;; EXPECT refused penstock.log has type
(module
  (import "penstock" "log" (func (param i64)))
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.const 0)))
