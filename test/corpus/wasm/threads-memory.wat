;; Memory to share with other threads.
;; EXPECT refused shared memory
(module
  (memory (export "memory") 1 2 shared)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.const 0)))
