;; Twenty thousand functions.
;; EXPECT refused number of functions 2000\d exceeds 20000
(module
  (memory (export "memory") 1)
  {{repeat 20001|(func)}}
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.const 0)))
