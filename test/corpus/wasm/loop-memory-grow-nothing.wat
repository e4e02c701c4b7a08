;; Grows by nothing, which can not be refused.
;; EXPECT fault fuel
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (loop (drop (memory.grow (i32.const 0))) (br 0)) (unreachable)))
