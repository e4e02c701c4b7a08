;; 300 MiB from the start.
;; EXPECT refused pages of memory 5000 exceeds
(module
  (memory (export "memory") 5000)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.const 0)))
