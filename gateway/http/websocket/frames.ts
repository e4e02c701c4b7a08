/**
 * Frames of WebSocket (RFC 6455 §5): the bytes of a stream that was upgraded, one way, into messages, and messages into
 * frames. Pure. Fragments are put together up to a bound, in memory that is never more than it, however many they are;
 * control frames come between them as they arrive, whole.
 *
 *     FIN rsv opcode │ MASK length │ length, 0, 2 or 8 bytes │ mask, 0 or 4 │ payload
 */
export const CONTINUATION = 0;
export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

const FIN = 0x80;
const RESERVED = 0x70;
const MASKED = 0x80;
const CONTROL = 8;
const CONTROL_BYTES_MAX = 125;
const HEADER_BYTES_MAX = 14;
const MASK_BYTES = 4;

const NOTHING = new Uint8Array(0);
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Why a stream is given up, with the code that its sender is told (§7.4.1). */
export interface FrameRefusal {
  readonly closeCode: number;
  readonly reason: string;
}

/** Takes a message; `payload` is its own copy. */
export type TakeMessage = (opcode: number, payload: Uint8Array) => void;

interface Header {
  readonly final: boolean;
  readonly opcode: number;
  /** −1: not masked. */
  readonly maskAt: number;
  readonly bodyAt: number;
  readonly length: number;
}

export class FrameDecoder {
  readonly #masked: boolean;
  readonly #bytesMax: number;
  /** Header bytes of a frame that has begun. */
  readonly #head = new Uint8Array(HEADER_BYTES_MAX);
  #headBytes = 0;
  #header: Header | null = null;
  /** Room for the payload of the frame whose header is there; of a data frame, a part of `#message`. */
  #payload: Uint8Array = NOTHING;
  #filled = 0;
  /** Of the message that has begun. */
  #opcode = CONTINUATION;
  #message: Uint8Array = NOTHING;
  /** Of its frames that are whole. */
  #messageBytes = 0;

  /** `masked`: whether frames must be, as a client's must, or must not. `bytesMax`: of a message. */
  constructor(masked: boolean, bytesMax: number) {
    this.#masked = masked;
    this.#bytesMax = bytesMax;
  }

  /** Memory of what has begun, in bytes. */
  get held(): number {
    return this.#message.length + (this.#payload.buffer === this.#message.buffer ? 0 : this.#payload.length);
  }

  /** Null, or why nothing more is read. */
  push(bytes: Uint8Array, take: TakeMessage): FrameRefusal | null {
    let at = 0;
    while (at < bytes.length || this.#isWhole()) {
      if (this.#header === null) {
        this.#head[this.#headBytes++] = bytes[at++] as number;
        const header = readHeader(this.#head, this.#headBytes);
        if (header === null) continue;
        const refusal = this.#begin(header);
        if (refusal !== null) return refusal;
      } else {
        const part = bytes.subarray(at, at + this.#payload.length - this.#filled);
        this.#payload.set(part, this.#filled);
        this.#filled += part.length;
        at += part.length;
        const refusal = this.#isWhole() ? this.#finish(this.#header, take) : null;
        if (refusal !== null) return refusal;
      }
    }
    return null;
  }

  #isWhole(): boolean {
    return this.#header !== null && this.#filled === this.#payload.length;
  }

  #begin(header: Header): FrameRefusal | null {
    const { opcode, final, length, maskAt } = header;
    const first = this.#head[0] as number;
    const control = opcode >= CONTROL;
    if ((first & RESERVED) !== 0) return protocolError("reserved bits");
    if (opcode > PONG || (opcode > BINARY && opcode < CONTROL)) return protocolError(`opcode ${opcode}`);
    if (maskAt >= 0 !== this.#masked) return protocolError(this.#masked ? "a frame without a mask" : "a masked frame");
    if (control && (!final || length > CONTROL_BYTES_MAX))
      return protocolError("a control frame that is cut or too long");
    if (opcode === CONTINUATION && this.#opcode === CONTINUATION) return protocolError("nothing to continue");
    if ((opcode === TEXT || opcode === BINARY) && this.#opcode !== CONTINUATION)
      return protocolError("a message in a message");
    if (length < 0) return protocolError("a length in the wrong form");
    if (!control && this.#messageBytes + length > this.#bytesMax) {
      return { closeCode: 1009, reason: `a message of more than ${this.#bytesMax} bytes` };
    }
    this.#header = header;
    this.#payload = control ? new Uint8Array(length) : this.#room(length);
    this.#filled = 0;
    return null;
  }

  /** For the next frame of the message. Fragments of a byte each would cost a hundred times that by themselves. */
  #room(bytes: number): Uint8Array {
    const needed = this.#messageBytes + bytes;
    if (needed > this.#message.length) {
      const doubled = this.#messageBytes === 0 ? 0 : Math.min(2 * this.#message.length, this.#bytesMax);
      const grown = new Uint8Array(Math.max(needed, doubled));
      grown.set(this.#message.subarray(0, this.#messageBytes));
      this.#message = grown;
    }
    return this.#message.subarray(this.#messageBytes, needed);
  }

  #finish({ opcode, final, maskAt }: Header, take: TakeMessage): FrameRefusal | null {
    const payload = this.#payload;
    if (maskAt >= 0) unmask(payload, this.#head, maskAt);
    this.#header = null;
    this.#headBytes = 0;
    this.#payload = NOTHING;
    this.#filled = 0;
    if (opcode >= CONTROL) {
      const refusal = opcode === CLOSE ? checkClose(payload) : null;
      if (refusal === null) take(opcode, payload);
      return refusal;
    }
    if (opcode !== CONTINUATION) this.#opcode = opcode;
    this.#messageBytes += payload.length;
    if (!final) return null;
    const whole = this.#message.subarray(0, this.#messageBytes);
    const type = this.#opcode;
    this.#opcode = CONTINUATION;
    this.#message = NOTHING;
    this.#messageBytes = 0;
    if (type === TEXT && !isText(whole)) return { closeCode: 1007, reason: "text that is not UTF-8" };
    take(type, whole);
    return null;
  }
}

/** One message in one frame. `mask`: four bytes at random, as a client must; null from a server. */
export function encodeFrame(opcode: number, payload: Uint8Array, mask: Uint8Array | null): Uint8Array {
  const wide = payload.length > 0xffff ? 8 : payload.length > CONTROL_BYTES_MAX ? 2 : 0;
  const maskAt = 2 + wide;
  const bodyAt = maskAt + (mask === null ? 0 : MASK_BYTES);
  const frame = Buffer.alloc(bodyAt + payload.length);
  frame[0] = FIN | opcode;
  frame[1] = (mask === null ? 0 : MASKED) | (wide === 0 ? payload.length : wide === 2 ? 126 : 127);
  if (wide === 2) frame.writeUInt16BE(payload.length, 2);
  if (wide === 8) frame.writeBigUInt64BE(BigInt(payload.length), 2);
  frame.set(payload, bodyAt);
  if (mask !== null) {
    frame.set(mask, maskAt);
    unmask(frame.subarray(bodyAt), frame, maskAt);
  }
  return frame;
}

/** The payload of a close frame. */
export function closePayload(code: number, reason = ""): Uint8Array {
  return Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason).subarray(0, CONTROL_BYTES_MAX - 2)]);
}

/** Null: not all there. A length that is not written in its shortest form is −1 (§5.2). */
function readHeader(head: Uint8Array, bytes: number): Header | null {
  if (bytes < 2) return null;
  const [first = 0, second = 0] = head;
  const short = second & 0x7f;
  const wide = short === 127 ? 8 : short === 126 ? 2 : 0;
  const masked = (second & MASKED) !== 0;
  const maskAt = 2 + wide;
  const bodyAt = maskAt + (masked ? MASK_BYTES : 0);
  if (bytes < bodyAt) return null;
  const view = new DataView(head.buffer, head.byteOffset);
  const long = wide === 8 ? Number(view.getBigUint64(2)) : wide === 2 ? view.getUint16(2) : short;
  const shortest =
    wide === 8 ? long > 0xffff && long <= Number.MAX_SAFE_INTEGER : wide === 0 || long > CONTROL_BYTES_MAX;
  return {
    final: (first & FIN) !== 0,
    opcode: first & 0x0f,
    maskAt: masked ? maskAt : -1,
    bodyAt,
    length: shortest ? long : -1,
  };
}

/** Masking and taking it off are the same (§5.3). */
function unmask(payload: Uint8Array, from: Uint8Array, maskAt: number): void {
  for (let i = 0; i < payload.length; i++) {
    payload[i] = (payload[i] as number) ^ (from[maskAt + (i & 3)] as number);
  }
}

/** §5.5.1, §7.4: nothing, or a code that may be sent, and text. */
function checkClose(payload: Uint8Array): FrameRefusal | null {
  if (payload.length === 0) return null;
  if (payload.length === 1) return protocolError("half a close code");
  const code = ((payload[0] as number) << 8) | (payload[1] as number);
  const registered = code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
  if (!registered && (code < 3000 || code > 4999)) return protocolError(`close code ${code}`);
  return isText(payload.subarray(2)) ? null : { closeCode: 1007, reason: "a reason that is not UTF-8" };
}

function isText(bytes: Uint8Array): boolean {
  try {
    UTF8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function protocolError(reason: string): FrameRefusal {
  return { closeCode: 1002, reason };
}
