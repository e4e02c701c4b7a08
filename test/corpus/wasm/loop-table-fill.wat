;; The costliest bulk operation, again and again.
;; EXPECT fault fuel
(module
  (memory (export "memory") 1)
  (table 5000 funcref)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (loop (table.fill (i32.const 0) (ref.null func) (i32.const 5000)) (br 0)) (unreachable)))
