;; The meter's own name.
;; EXPECT refused reserved
(module
  (memory (export "memory") 1)
  (func (export "__penstock_refuel") (param i32))
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.const 0)))
