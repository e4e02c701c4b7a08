;; A loop that calls through a table.
;; EXPECT fault fuel
(module
  (memory (export "memory") 1)
  (type $t (func)) (table 1 funcref) (elem (i32.const 0) $n) (func $n)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (loop (call_indirect (type $t) (i32.const 0)) (br 0)) (unreachable)))
