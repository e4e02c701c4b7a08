;; Strides through 16 pages.
;; EXPECT fault fuel
(module
  (memory (export "memory") 16)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (local i32) (loop (i32.store (local.get 0) (i32.const 1)) (local.set 0 (i32.and (i32.add (local.get 0) (i32.const 69632)) (i32.const 1048572))) (br 0)) (unreachable)))
