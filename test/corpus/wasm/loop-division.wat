;; 64-bit division in a loop.
;; EXPECT fault fuel
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (local i64) (loop (local.set 0 (i64.div_u (i64.const -1) (i64.const 3))) (br 0)) (unreachable)))
