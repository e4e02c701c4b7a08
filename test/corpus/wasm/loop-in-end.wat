;; After the exchange: the client has its answer already.
;; EXPECT fault-unseen fuel
(module
  (memory (export "memory") 1)
  (func (export "penstock_abi_1"))
  (func (export "on_end") 
    (loop (br 0))))
