;; A segment that has been dropped.
;; EXPECT fault trap
(module
  (memory (export "memory") 1)
  (data $d "x")
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (data.drop $d) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)) (i32.const 0)))
