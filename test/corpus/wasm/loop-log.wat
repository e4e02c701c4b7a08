;; Logs in a loop: neither the disk nor the others notice.
;; EXPECT fault fuel
(module
  (import "penstock" "log" (func $h (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (loop (call $h (i32.const 1) (i32.const 0) (i32.const 4000)) (br 0)) (unreachable)))
