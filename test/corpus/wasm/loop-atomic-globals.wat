;; A global written in a loop.
;; EXPECT fault fuel
(module
  (memory (export "memory") 1)
  (global $g (mut i64) (i64.const 0))
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (loop (global.set $g (i64.add (global.get $g) (i64.const 1))) (br 0)) (unreachable)))
