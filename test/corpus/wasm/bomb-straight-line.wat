;; A function of 200 KB without a branch.
;; EXPECT passes
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (local i32) {{repeat 20000|(local.set 0 (i32.mul (i32.add (local.get 0) (i32.const 3)) (i32.const 5)))}} (i32.const 0)))
