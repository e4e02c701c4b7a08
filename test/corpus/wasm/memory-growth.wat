;; Grows until it is refused, and gives up.
;; EXPECT fault memory
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (loop (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then (unreachable))) (br 0)) (unreachable)))
