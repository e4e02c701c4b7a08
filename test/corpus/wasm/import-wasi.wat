;; Files.
;; EXPECT refused wasi_snapshot_preview1|unknown import
(module (import "wasi_snapshot_preview1" "path_open" (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 1) (func (export "penstock_abi_1")) (func (export "on_request") (result i32) (i32.const 0)))
