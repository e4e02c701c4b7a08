;; Two functions that call each other.
;; EXPECT fault stack|fuel
(module
  (memory (export "memory") 1)
  (func $a (result i32) (i32.add (call $b) (i32.const 1))) (func $b (result i32) (i32.add (call $a) (i32.const 1)))
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (call $a)))
