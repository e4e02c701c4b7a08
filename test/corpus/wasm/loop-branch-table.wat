;; Back to the head of the loop by br_table.
;; EXPECT fault fuel
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (loop (br_table 0 0 0 (i32.const 1))) (unreachable)))
