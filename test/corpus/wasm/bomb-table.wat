;; A table of ten thousand and one.
;; EXPECT refused elements of a table 10001 exceeds 10000
(module
  (memory (export "memory") 1)
  (table 10001 funcref)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.const 0)))
