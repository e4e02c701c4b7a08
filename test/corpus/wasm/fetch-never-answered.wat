;; Waits for an upstream that says nothing.
;; EXPECT fault deadline
;; WITH fetch
(module
  (import "penstock" "upstream_open" (func $open (param i32 i32) (result i32)))
  (import "penstock" "fetch" (func $fetch (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "silent") (data (i32.const 16) "GET") (data (i32.const 24) "/")
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (drop (call $fetch (call $open (i32.const 0) (i32.const 6)) (i32.const 16) (i32.const 3) (i32.const 24) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))
    (i32.const 0)))
