;; Not the request: the response never comes out.
;; EXPECT fault fuel
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_response") (result i32) 
    (loop (br 0)) (unreachable)))
