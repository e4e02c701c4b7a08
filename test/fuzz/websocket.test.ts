/**
 * WebSocket frames: messages in fragments, with control frames between them, come out as they were sent, wherever the stream
 * is cut; damaged ones end in the same way wherever it is cut. Memory stays within the bound.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  BINARY,
  CLOSE,
  CONTINUATION,
  encodeFrame,
  FrameDecoder,
  PING,
  PONG,
  TEXT,
  type TakeMessage,
} from "#http/websocket/frames.ts";
import { expectAlikeHoweverCut, finds, mutatedBytes, runs } from "#test/support/fuzzing.ts";

const BYTES_MAX = 300;
const CONTROL_BYTES_MAX = 125;
const FIN = 0x80;

type Sent = readonly [opcode: number, payload: string];

interface Stream {
  readonly masked: boolean;
  readonly wire: Buffer;
  readonly messages: readonly Sent[];
}

const mask = fc.uint8Array({ minLength: 4, maxLength: 4 });
const control = fc.tuple(fc.constantFrom(PING, PONG), fc.uint8Array({ maxLength: 20 }));
/** Of a message: text is Latin letters, so that it may be cut anywhere. */
const fragments = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.uint8Array({ max: 0x7f, maxLength: 20 }) },
    fc.uint8Array({ max: 0x7f, minLength: 120, maxLength: 140 }),
  ),
  { minLength: 1, maxLength: 4 },
);
const message = fc.record({
  opcode: fc.constantFrom(TEXT, BINARY),
  fragments,
  between: fc.array(fc.option(control), { minLength: 4, maxLength: 4 }),
});

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

const stream: fc.Arbitrary<Stream> = fc
  .record({
    masked: fc.boolean(),
    key: mask,
    all: fc.array(message, { minLength: 1, maxLength: 3 }),
    close: fc.boolean(),
  })
  .map(({ masked, key, all, close }) => {
    const frames: Uint8Array[] = [];
    const messages: Sent[] = [];
    const frame = (first: number, payload: Uint8Array): void => {
      const bytes = encodeFrame(first & 0xf, payload, masked ? key : null);
      bytes[0] = first;
      frames.push(bytes);
    };
    for (const one of all) {
      one.fragments.forEach((fragment, i) => {
        const last = i === one.fragments.length - 1;
        frame((last ? FIN : 0) | (i === 0 ? one.opcode : CONTINUATION), fragment);
        const told = one.between[i] ?? null;
        if (last || told === null) return;
        frame(FIN | told[0], told[1]);
        messages.push([told[0], hex(told[1])]);
      });
      const whole = Buffer.concat(one.fragments);
      messages.push([one.opcode, hex(whole)]);
    }
    if (close) {
      frame(FIN | CLOSE, Buffer.of(0x03, 0xe8));
      messages.push([CLOSE, "03e8"]);
    }
    return { masked, wire: Buffer.concat(frames), messages };
  })
  .filter(({ messages }) => messages.every(([, payload]) => payload.length <= 2 * BYTES_MAX));

const SPLICES = [
  "00",
  "01",
  "02",
  "08",
  "80",
  "81",
  "82",
  "88",
  "89",
  "7d",
  "7e",
  "7f",
  "fe",
  "ff",
  "7e007e",
  "7f0000000000010000",
  "8803ffff",
  "c3",
].map((one) => Buffer.from(one, "hex"));
const damaged = stream.chain(({ masked, wire }) =>
  mutatedBytes([wire], SPLICES, 3).map((bytes) => ({ masked, wire: bytes })),
);

interface Decoder {
  readonly held: number;
  push(bytes: Uint8Array, take: TakeMessage): ReturnType<FrameDecoder["push"]>;
}

function reading(decoder: Decoder, pieces: readonly Uint8Array[]): { messages: Sent[]; refusal: unknown } {
  const messages: Sent[] = [];
  for (const piece of pieces) {
    const refusal = decoder.push(piece, (opcode, payload) => messages.push([opcode, hex(payload)]));
    if (decoder.held > BYTES_MAX + CONTROL_BYTES_MAX) throw new Error(`${decoder.held} bytes are held`);
    if (refusal !== null) return { messages, refusal };
  }
  return { messages, refusal: null };
}

const ours = (masked: boolean): Decoder => new FrameDecoder(masked, BYTES_MAX);

function comesOut(make: (masked: boolean) => Decoder, { masked, wire, messages }: Stream): void {
  expect(reading(make(masked), [wire])).toEqual({ messages, refusal: null });
}

describe("a stream of frames", () => {
  it("has the messages that were sent", () => {
    fc.assert(
      fc.property(stream, (one) => comesOut(ours, one)),
      { numRuns: runs(2000) },
    );
  });

  it("is read in one way, wherever it is cut and whatever has become of it", () => {
    fc.assert(
      fc.property(fc.oneof(stream, damaged), ({ masked, wire }) =>
        expectAlikeHoweverCut((pieces) => reading(ours(masked), pieces), wire),
      ),
      { numRuns: runs(200) },
    );
  });
});

describe("canaries: the harness catches a decoder that", () => {
  it("keeps nothing of a piece", () => {
    const forgetful = (masked: boolean, pieces: readonly Uint8Array[]): unknown =>
      pieces.map((piece) => reading(ours(masked), [piece]));
    expect(
      finds(stream, ({ masked, wire }) => expectAlikeHoweverCut((pieces) => forgetful(masked, pieces), wire)),
    ).toBe(true);
  });

  it("forgets the fragments before a control frame", () => {
    const forgetful = (masked: boolean): Decoder => {
      const decoder = ours(masked);
      let told = 0;
      return {
        held: 0,
        push: (bytes, take) =>
          decoder.push(bytes, (opcode, payload) => {
            if (opcode === PING) told++;
            take(opcode, told > 0 && opcode < CLOSE ? payload.subarray(1) : payload);
          }),
      };
    };
    expect(finds(stream, (one) => comesOut(forgetful, one))).toBe(true);
  });

  it("holds more than it may", () => {
    const hoarding = (masked: boolean): Decoder => {
      const decoder = ours(masked);
      let held = 0;
      return {
        get held() {
          return held;
        },
        push: (bytes, take) => {
          held += bytes.length;
          return decoder.push(bytes, take);
        },
      };
    };
    expect(finds(stream, (one) => comesOut(hoarding, one))).toBe(true);
  });
});
