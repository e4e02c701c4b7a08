;; The one quotient that does not fit.
;; EXPECT fault trap
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.div_s (i32.const -2147483648) (i32.const -1))))
