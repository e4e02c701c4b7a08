;; Fills a page, again and again.
;; EXPECT fault fuel
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) 
    (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br 0)) (unreachable)))
