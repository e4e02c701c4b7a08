;; Grows a table until it can not, and goes on.
;; EXPECT fault fuel
(module
  (memory (export "memory") 1)
  (table 1 funcref)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (loop (drop (table.grow (ref.null func) (i32.const 100))) (br 0)) (unreachable)))
