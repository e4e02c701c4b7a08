;; Five thousand types.
;; EXPECT refused number of types 500\d exceeds 5000
(module
  (memory (export "memory") 1)
  {{repeat 5001|(type (func)) }}
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.const 0)))
