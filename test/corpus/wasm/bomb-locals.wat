;; A thousand locals and one.
;; EXPECT refused locals of a function 1001 exceeds 1000
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (local {{repeat 1001|i64 }}) (i32.const 0)))
