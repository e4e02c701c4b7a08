import { describe, expect, it } from "vitest";
import {
  BINARY,
  CLOSE,
  closePayload,
  CONTINUATION,
  encodeFrame,
  FrameDecoder,
  PING,
  TEXT,
  type FrameRefusal,
} from "#http/websocket/frames.ts";

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const MASK = bytes("37fa213d");

interface Seen {
  readonly messages: readonly (readonly [number, string])[];
  readonly refusal: FrameRefusal | null;
}

function decode(wire: Uint8Array, masked: boolean, size = 1000, bytesMax = 1 << 20): Seen {
  const decoder = new FrameDecoder(masked, bytesMax);
  const messages: [number, string][] = [];
  let refusal: FrameRefusal | null = null;
  for (let at = 0; at < wire.length && refusal === null; at += size) {
    refusal = decoder.push(wire.subarray(at, at + size), (opcode, payload) =>
      messages.push([opcode, Buffer.from(payload).toString("hex")]),
    );
  }
  return { messages, refusal };
}

const text = (characters: string): string => Buffer.from(characters).toString("hex");

describe.each([1, 2, 7, 1000])("frames, %d bytes at a time", (size) => {
  // RFC 6455 section 5.7.
  it.each<[name: string, wire: string, masked: boolean, messages: [number, string][]]>([
    ["a text", "81 05 48656c6c6f", false, [[TEXT, text("Hello")]]],
    ["a masked text", "81 85 37fa213d 7f9f4d5158", true, [[TEXT, text("Hello")]]],
    ["a text in two", "01 03 48656c 80 02 6c6f", false, [[TEXT, text("Hello")]]],
    [
      "a ping between",
      "01 03 48656c 89 05 48656c6c6f 80 02 6c6f",
      false,
      [
        [PING, text("Hello")],
        [TEXT, text("Hello")],
      ],
    ],
    [
      "nothing",
      "81 00 82 00",
      false,
      [
        [TEXT, ""],
        [BINARY, ""],
      ],
    ],
    ["nothing, masked", "81 80 37fa213d", true, [[TEXT, ""]]],
    ["a close", "88 02 03e8", false, [[CLOSE, "03e8"]]],
    ["a close with nothing", "88 00", false, [[CLOSE, ""]]],
    ["text cut within a character", "01 01 c3 80 01 a4", false, [[TEXT, "c3a4"]]],
  ])("%s", (_name, wire, masked, messages) => {
    expect(decode(bytes(wire), masked, size)).toEqual({ messages, refusal: null });
  });

  it.each([
    ["reserved bits", "c1 00", false, 1002],
    ["an opcode that is none", "83 00", false, 1002],
    ["a control opcode that is none", "8b 00", false, 1002],
    ["a mask that must not be", "81 80 00000000", false, 1002],
    ["a mask that is missing", "81 00", true, 1002],
    ["a ping in pieces", "09 00", false, 1002],
    ["a ping that is too long", "89 7e 007e", false, 1002],
    ["nothing to continue", "80 00", false, 1002],
    ["a message in a message", "01 00 81 00", false, 1002],
    ["a length in two bytes that has room in one", "82 7e 007d", false, 1002],
    ["a length in eight that has room in two", "82 7f 000000000000ffff", false, 1002],
    ["a length beyond everything", "82 7f ffffffffffffffff", false, 1002],
    ["half a close code", "88 01 03", false, 1002],
    ["a close code that is never sent", "88 02 03ee", false, 1002],
    ["text that is not UTF-8", "81 01 ff", false, 1007],
    ["a reason that is not UTF-8", "88 03 03e8 ff", false, 1007],
    ["too much", "82 7f 0000000000100001", false, 1009],
  ])("refuses %s", (_name, wire, masked, code) => {
    expect(decode(bytes(wire), masked, size).refusal?.closeCode).toBe(code);
  });
});

it("a message in fragments has the same bound", () => {
  expect(decode(bytes("02 03 000000 00 03 000000"), false, 1000, 5).refusal?.closeCode).toBe(1009);
  expect(decode(bytes("02 03 000000 80 02 0000"), false, 1000, 5).messages).toHaveLength(1);
});

it.each([0, 1])("fragments of %d bytes take no more memory than the message may", (length) => {
  const decoder = new FrameDecoder(false, 1000);
  const first = Uint8Array.of(BINARY, length, ...new Uint8Array(length));
  const next = Uint8Array.of(CONTINUATION, length, ...new Uint8Array(length));
  const taken: number[] = [];
  const take = (_opcode: number, payload: Uint8Array): void => void taken.push(payload.length);
  expect(decoder.push(first, take)).toBeNull();
  for (let i = 1; i < 1000; i++) {
    expect(decoder.push(next, take)).toBeNull();
    expect(decoder.held).toBeLessThanOrEqual(1000);
  }
  expect(decoder.push(Uint8Array.of(0x80 | CONTINUATION, 0), take)).toBeNull();
  expect(taken).toEqual([1000 * length]);
  expect(decoder.held).toBe(0);
});

it.each([0, 125, 126, 65_535, 65_536])("%d bytes come back, masked and not", (length) => {
  const payload = Uint8Array.from({ length }, (_, i) => i * 7);
  for (const mask of [null, MASK]) {
    const { messages, refusal } = decode(encodeFrame(BINARY, payload, mask), mask !== null);
    expect(refusal).toBeNull();
    expect(messages).toEqual([[BINARY, Buffer.from(payload).toString("hex")]]);
  }
});

it("closes with a code and a reason that fits", () => {
  const frame = encodeFrame(CLOSE, closePayload(1001, "x".repeat(200)), null);
  expect(decode(frame, false)).toEqual({ messages: [[CLOSE, `03e9${text("x".repeat(123))}`]], refusal: null });
});
