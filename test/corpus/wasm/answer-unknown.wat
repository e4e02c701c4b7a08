;; An answer that means nothing.
;; EXPECT fault host-call
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.const 7)))
