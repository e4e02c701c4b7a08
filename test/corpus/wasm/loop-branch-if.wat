;; Back by a condition that is always true.
;; EXPECT fault fuel
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (loop (br_if 0 (i32.const 1))) (i32.const 0)))
