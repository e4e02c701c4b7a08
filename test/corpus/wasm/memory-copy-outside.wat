;; Copies 4 GiB.
;; EXPECT fault trap|fuel
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (memory.copy (i32.const 0) (i32.const 0) (i32.const -1)) (i32.const 0)))
