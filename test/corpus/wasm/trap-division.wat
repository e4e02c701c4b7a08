;; Divides by zero.
;; EXPECT fault trap
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.div_s (i32.const 1) (i32.const 0))))
