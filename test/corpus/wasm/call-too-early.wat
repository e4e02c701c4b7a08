;; The response's status while there is only a request.
;; EXPECT fault host-call
(module
  (import "penstock" "set_status" (func $h (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (drop (call $h (i32.const 200))) (i32.const 0)))
