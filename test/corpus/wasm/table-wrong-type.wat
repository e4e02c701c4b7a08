;; Calls a function of another type.
;; EXPECT fault trap
(module
  (memory (export "memory") 1)
  (table 1 funcref) (elem (i32.const 0) $n) (func $n (param f64))
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (call_indirect (result i32) (i32.const 0))))
