;; Wants to catch its own end.
;; EXPECT refused exception handling
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (try (result i32) (do (unreachable)) (catch_all (i32.const 0)))))
