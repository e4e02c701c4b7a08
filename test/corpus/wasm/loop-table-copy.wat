;; Copies a table onto itself.
;; EXPECT fault fuel
(module
  (memory (export "memory") 1)
  (table 5000 funcref)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (loop (table.copy (i32.const 0) (i32.const 1) (i32.const 4999)) (br 0)) (unreachable)))
