;; Half a megabyte of data that nobody reads.
;; EXPECT passes
(module
  (memory (export "memory") 1)
  (data $d "{{repeat 524288|x}}")
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.const 0)))
