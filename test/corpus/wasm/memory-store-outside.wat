;; Stores across the end.
;; EXPECT fault trap
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i64.store (i32.const 65532) (i64.const 1)) (i32.const 0)))
