;; Loads behind its memory.
;; EXPECT fault trap
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.load (i32.const -4))))
