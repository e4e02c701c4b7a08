;; unreachable.
;; EXPECT fault trap
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (unreachable)))
