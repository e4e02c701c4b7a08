;; Exports with names of a thousand letters.
;; EXPECT passes
(module
  (memory (export "memory") 1)
  {{number 100|(func (export "{{repeat 1000|x}}#"))}}
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (i32.const 0)))
