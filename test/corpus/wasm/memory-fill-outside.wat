;; Fills beyond the end.
;; EXPECT fault trap
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (memory.fill (i32.const 65535) (i32.const 0) (i32.const 2)) (i32.const 0)))
