;; Calls what is not there.
;; EXPECT fault trap
(module
  (memory (export "memory") 1)
  (table 3 funcref)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (call_indirect (result i32) (i32.const 1))))
