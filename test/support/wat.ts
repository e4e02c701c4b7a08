/** Assembles WebAssembly text for tests, with every feature that plugins may use, or that they may not. */
import wabtInit from "wabt";

const wabt = await wabtInit();

const features = {
  exceptions: true,
  mutable_globals: true,
  sat_float_to_int: true,
  sign_extension: true,
  simd: true,
  threads: true,
  multi_value: true,
  tail_call: true,
  bulk_memory: true,
  reference_types: true,
  multi_memory: true,
  memory64: true,
  extended_const: true,
};

export function wat(source: string): Uint8Array {
  const module = wabt.parseWat("test.wat", source, features);
  try {
    return new Uint8Array(module.toBinary({}).buffer);
  } finally {
    module.destroy();
  }
}
