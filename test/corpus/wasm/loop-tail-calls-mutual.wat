;; Two functions that end in each other.
;; EXPECT fault fuel
(module
  (memory (export "memory") 1)
  (func $a (result i32) (return_call $b)) (func $b (result i32) (return_call $a))
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (return_call $a)))
