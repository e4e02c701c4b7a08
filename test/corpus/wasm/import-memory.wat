;; The gateway's own memory.
;; EXPECT refused only functions
(module (import "penstock" "memory" (memory 1)) (func (export "penstock_abi_1")) (func (export "on_request") (result i32) (i32.const 0)))
