;; Grows until it is refused, and goes on asking.
;; EXPECT fault fuel
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (loop (drop (memory.grow (i32.const 1))) (br 0)) (unreachable)))
