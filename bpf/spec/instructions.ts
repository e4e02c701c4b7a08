/**
 * The parts of BPF's encoding that linking touches. An instruction is 8 bytes; LDDW (a 64-bit constant) is two of them:
 *
 *     [ opcode | src:4 dst:4 | offset:16 | immediate:32 ]
 *
 * Source: Documentation/bpf/standardization/instruction-set.rst; BPF_PSEUDO_* in linux/bpf.h.
 */

export const INSTRUCTION_BYTES = 8;
export const OPCODE_LDDW = 0x18;
export const OPCODE_CALL = 0x85;

/** Source register of LDDW: what the constant stands for. */
export const PSEUDO_MAP_FD = 1;
export const PSEUDO_MAP_VALUE = 2;
export const PSEUDO_BTF_ID = 3;
export const PSEUDO_FUNC = 4;
/** Source register of CALL. */
export const PSEUDO_CALL = 1;
export const PSEUDO_KFUNC_CALL = 2;

export function sourceRegister(code: Buffer, at: number): number {
  return (code[at + 1] as number) >> 4;
}

export function setSourceRegister(code: Buffer, at: number, value: number): void {
  code[at + 1] = ((code[at + 1] as number) & 15) | (value << 4);
}

export function immediate(code: Buffer, at: number): number {
  return code.readInt32LE(at + 4);
}

export function setImmediate32(code: Buffer, at: number, value: number): void {
  code.writeInt32LE(value | 0, at + 4);
}
