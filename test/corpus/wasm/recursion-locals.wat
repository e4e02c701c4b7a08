;; Frames of 8 KB.
;; EXPECT fault stack|fuel
(module
  (memory (export "memory") 1)
  (func $f (result i32) (local {{repeat 999|i64 }}) (i32.add (call $f) (i32.const 1)))
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (call $f)))
