;; Copies a segment, again and again.
;; EXPECT fault fuel
(module
  (memory (export "memory") 1)
  (data $d "{{repeat 4096|x}}")
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (loop (memory.init $d (i32.const 0) (i32.const 0) (i32.const 4096)) (br 0)) (unreachable)))
