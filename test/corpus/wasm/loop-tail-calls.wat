;; Endless tail calls: no frame is ever left behind.
;; EXPECT fault fuel
(module
  (memory (export "memory") 1)
  (func $n (result i32) (return_call $n))
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (return_call $n)))
