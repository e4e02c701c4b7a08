;; Replies of 64 KiB in a loop: only the last would count.
;; EXPECT fault fuel
(module
  (import "penstock" "reply" (func $h (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (loop (call $h (i32.const 200) (i32.const 0) (i32.const 65536)) (br 0)) (unreachable)))
