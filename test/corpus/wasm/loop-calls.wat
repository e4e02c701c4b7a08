;; A loop that only calls.
;; EXPECT fault fuel
(module
  (memory (export "memory") 1)
  (func $n)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (loop (call $n) (br 0)) (unreachable)))
