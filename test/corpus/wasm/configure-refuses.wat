;; Says no.
;; EXPECT unconfigured answered 3
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) (i32.const 0))
  (func (export "on_configure") (result i32) 
    (i32.const 3)))
