/**
 * DNS messages (RFC 1035 §4) as objects: what a script reads, changes and sends on. Whole messages, as UDP carries them; over
 * TCP each has its length in two bytes before it.
 */
import { readName, writeName } from "./names.ts";
import { readData, typeName, typeNumber, u16, u32, writeData, type RecordData } from "./records.ts";

export interface DnsQuestion {
  readonly name: string;
  readonly type: string;
  /** 1, the Internet, unless given. */
  readonly class?: number;
}

export interface DnsRecord {
  readonly name: string;
  readonly type: string;
  /** 1, the Internet, unless given; of OPT, the size of datagrams (RFC 6891 §6.1.2). */
  readonly class?: number;
  readonly ttl: number;
  readonly data: RecordData;
}

export interface DnsMessage {
  readonly id: number;
  /** False in a query. */
  readonly response: boolean;
  readonly opcode?: number;
  readonly authoritative?: boolean;
  readonly truncated?: boolean;
  readonly recursionDesired?: boolean;
  readonly recursionAvailable?: boolean;
  readonly authenticData?: boolean;
  readonly checkingDisabled?: boolean;
  /** 0: no error; 2: server failure; 3: no such name; 5: refused. */
  readonly rcode?: number;
  readonly questions: readonly DnsQuestion[];
  readonly answers?: readonly DnsRecord[];
  readonly authorities?: readonly DnsRecord[];
  readonly additionals?: readonly DnsRecord[];
}

const HEADER_BYTES = 12;
const MESSAGE_BYTES_MAX = 65_535;
const INTERNET = 1;

/** Bits of the header's second word, from §4.1.1 and RFC 2535 §6.1. */
const BITS = {
  response: 0x8000,
  authoritative: 0x0400,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
  authenticData: 0x0020,
  checkingDisabled: 0x0010,
} as const;

/** Text: why it is malformed. What stands behind the last record is not looked at. */
export function decodeDns(bytes: Uint8Array): DnsMessage | string {
  if (bytes.length < HEADER_BYTES) return "shorter than a header";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bits = view.getUint16(2);
  const questions: DnsQuestion[] = [];
  let at = HEADER_BYTES;
  for (let i = view.getUint16(4); i > 0; i--) {
    const read = readName(bytes, at);
    if (read === null || read.end + 4 > bytes.length) return `question ${questions.length} is malformed`;
    questions.push({
      name: read.name,
      type: typeName(view.getUint16(read.end)),
      class: view.getUint16(read.end + 2),
    });
    at = read.end + 4;
  }
  const sections: DnsRecord[][] = [];
  for (const offset of [6, 8, 10]) {
    const records: DnsRecord[] = [];
    for (let i = view.getUint16(offset); i > 0; i--) {
      const end = readRecord(bytes, view, at, records);
      if (end < 0) return `record ${records.length} of section ${sections.length + 1} is malformed`;
      at = end;
    }
    sections.push(records);
  }
  const [answers = [], authorities = [], additionals = []] = sections;
  return {
    id: view.getUint16(0),
    response: (bits & BITS.response) !== 0,
    opcode: (bits >> 11) & 15,
    authoritative: (bits & BITS.authoritative) !== 0,
    truncated: (bits & BITS.truncated) !== 0,
    recursionDesired: (bits & BITS.recursionDesired) !== 0,
    recursionAvailable: (bits & BITS.recursionAvailable) !== 0,
    authenticData: (bits & BITS.authenticData) !== 0,
    checkingDisabled: (bits & BITS.checkingDisabled) !== 0,
    rcode: bits & 15,
    questions,
    answers,
    authorities,
    additionals,
  };
}

/** Throws RangeError, which names the record, for what a message can't say. */
export function encodeDns(message: DnsMessage): Uint8Array {
  const { answers = [], authorities = [], additionals = [] } = message;
  const out: number[] = [];
  let bits = ((message.opcode ?? 0) << 11) | (message.rcode ?? 0);
  for (const [flag, bit] of Object.entries(BITS)) if (message[flag as keyof typeof BITS] === true) bits |= bit;
  u16(out, message.id);
  u16(out, bits);
  for (const section of [message.questions, answers, authorities, additionals]) u16(out, section.length);
  const known = new Map<string, number>();
  for (const question of message.questions) {
    writeName(out, question.name, known);
    u16(out, typeNumber(question.type));
    u16(out, question.class ?? INTERNET);
  }
  for (const record of [...answers, ...authorities, ...additionals]) writeRecord(out, record, known);
  if (out.length > MESSAGE_BYTES_MAX) throw new RangeError(`a message of ${out.length} bytes`);
  return Uint8Array.from(out);
}

/** The offset behind it; −1: malformed. */
function readRecord(bytes: Uint8Array, view: DataView, at: number, records: DnsRecord[]): number {
  const read = readName(bytes, at);
  if (read === null || read.end + 10 > bytes.length) return -1;
  const type = typeName(view.getUint16(read.end));
  const length = view.getUint16(read.end + 8);
  const from = read.end + 10;
  if (from + length > bytes.length) return -1;
  const data = readData(bytes, from, length, type);
  if (data === null) return -1;
  records.push({ name: read.name, type, class: view.getUint16(read.end + 2), ttl: view.getUint32(read.end + 4), data });
  return from + length;
}

function writeRecord(out: number[], record: DnsRecord, known: Map<string, number>): void {
  const { name, type, ttl, data } = record;
  try {
    writeName(out, name, known);
    u16(out, typeNumber(type));
    u16(out, record.class ?? INTERNET);
    u32(out, ttl);
    const lengthAt = out.length;
    u16(out, 0);
    writeData(out, type, data, known);
    const length = out.length - lengthAt - 2;
    if (length > MESSAGE_BYTES_MAX) throw new RangeError("more data than a record has");
    out[lengthAt] = length >> 8;
    out[lengthAt + 1] = length & 0xff;
  } catch (error) {
    throw new RangeError(`${name} ${type}: ${(error as Error).message}`, { cause: error });
  }
}
