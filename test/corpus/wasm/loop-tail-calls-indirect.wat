;; The same through a table.
;; EXPECT fault fuel
(module
  (memory (export "memory") 1)
  (type $t (func (result i32))) (table 1 funcref) (elem (i32.const 0) $a) (func $a (type $t) (return_call_indirect (type $t) (i32.const 0)))
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (return_call_indirect (type $t) (i32.const 0))))
