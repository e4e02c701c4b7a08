;; Two hundred parameters and one.
;; EXPECT refused number of parameters 201 exceeds 200
(module
  (memory (export "memory") 1)
  (type (func (param {{repeat 201|i32 }})))
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.const 0)))
