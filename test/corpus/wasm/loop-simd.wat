;; Vectors in a loop.
;; EXPECT fault fuel
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (local v128) (loop (local.set 0 (i32x4.mul (local.get 0) (local.get 0))) (br 0)) (unreachable)))
