;; Square roots in a loop.
;; EXPECT fault fuel
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (local f64) (loop (local.set 0 (f64.sqrt (f64.const 2))) (br 0)) (unreachable)))
