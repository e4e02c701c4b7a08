;; A branch to ten thousand places.
;; EXPECT refused targets of a br_table 10001 exceeds 10000
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (br_table {{repeat 10001|0 }} 0 (i32.const 0) (i32.const 0))))
