;; With the first bytes of a body.
;; EXPECT fault fuel
;; WITH post
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_2"))
  (func (export "on_request_body") (param i32) (result i32) 
    (loop (br 0)) (unreachable)))
