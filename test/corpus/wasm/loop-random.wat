;; Asks for chance in a loop.
;; EXPECT fault fuel
(module
  (import "penstock" "random_bytes" (func $h (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (loop (call $h (i32.const 0) (i32.const 256)) (br 0)) (unreachable)))
