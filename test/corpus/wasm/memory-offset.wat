;; An offset of almost 4 GiB.
;; EXPECT fault trap
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.load offset=4294967295 (i32.const 1))))
