;; Through a table.
;; EXPECT fault stack|fuel
(module
  (memory (export "memory") 1)
  (type $t (func (result i32))) (table 1 funcref) (elem (i32.const 0) $f) (func $f (type $t) (i32.add (call_indirect (type $t) (i32.const 0)) (i32.const 1)))
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (call $f)))
