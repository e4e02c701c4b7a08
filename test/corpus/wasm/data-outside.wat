;; A segment behind the memory: found when it is instantiated.
;; EXPECT unconfigured segment|bounds
(module
  (memory (export "memory") 1)
  (data (i32.const 65536) "x")
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.const 0)))
