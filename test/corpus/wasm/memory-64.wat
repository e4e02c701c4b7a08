;; A memory beyond 4 GiB.
;; EXPECT refused 64-bit memory
(module
  (memory (export "memory") i64 1 2)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.const 0)))
