;; Behind the end of a table.
;; EXPECT fault trap
(module
  (memory (export "memory") 1)
  (table 3 funcref)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (drop (table.get (i32.const 9))) (i32.const 0)))
