/**
 * DNS messages (RFC 1035 §4), as much of them as asking for addresses takes: a query with one question, and the addresses
 * in its answer, through the aliases that lead to them. Pure; never throws for what it reads.
 */

export const TYPE_A = 1;
const TYPE_CNAME = 5;
export const TYPE_AAAA = 28;
const CLASS_IN = 1;

const HEADER_BYTES = 12;
const FLAG_RESPONSE = 0x8000;
const FLAG_TRUNCATED = 0x0200;
const FLAG_RECURSION_DESIRED = 0x0100;
const RCODE_MASK = 0x000f;
export const RCODE_NO_NAME = 3;

/** Of a name on the wire, its length bytes and the root included (RFC 1035 §2.3.4). */
const NAME_BYTES_MAX = 255;
const LABEL_BYTES_MAX = 63;
const POINTER = 0xc0;
/** Aliases one after the other that are followed. */
const ALIASES_MAX = 16;
/** Addresses of one answer that are used. */
export const ADDRESSES_MAX = 64;

export interface DnsAnswer {
  /** 0, or why there is none: 3 is "no such name". */
  readonly rcode: number;
  /** 4 or 16 bytes each. */
  readonly addresses: readonly Uint8Array[];
  /** The shortest of all records that led here; 0 without any. */
  readonly ttlSeconds: number;
}

/** A query for one name that wants recursion. Null when the text is no name: empty or long labels, other characters. */
export function encodeQuery(id: number, name: string, type: number): Uint8Array | null {
  const labels = name.replace(/\.$/, "").split(".");
  if (labels.some((label) => !/^[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?$/.test(label))) return null;
  if (labels.some((label) => label.length > LABEL_BYTES_MAX)) return null;
  const nameBytes = labels.reduce((sum, label) => sum + 1 + label.length, 1);
  if (nameBytes > NAME_BYTES_MAX) return null;
  const message = new Uint8Array(HEADER_BYTES + nameBytes + 4);
  const view = new DataView(message.buffer);
  view.setUint16(0, id);
  view.setUint16(2, FLAG_RECURSION_DESIRED);
  view.setUint16(4, 1);
  let at = HEADER_BYTES;
  for (const label of labels) {
    message[at++] = label.length;
    for (let i = 0; i < label.length; i++) message[at++] = label.charCodeAt(i);
  }
  view.setUint16(at + 1, type);
  view.setUint16(at + 3, CLASS_IN);
  return message;
}

/** The identifier of a message; −1 when there is not even that. */
export function messageId(message: Uint8Array): number {
  return message.length < HEADER_BYTES ? -1 : viewOf(message).getUint16(0);
}

/** What a message answers to this question, or in words why it is no answer to it. */
export function decodeAnswer(message: Uint8Array, id: number, name: string, type: number): DnsAnswer | string {
  if (message.length < HEADER_BYTES) return "shorter than a header";
  const view = viewOf(message);
  const flags = view.getUint16(2);
  if (view.getUint16(0) !== id || (flags & FLAG_RESPONSE) === 0) return "no answer to this query";
  if ((flags & FLAG_TRUNCATED) !== 0) return "truncated";
  const asked = name.replace(/\.$/, "").toLowerCase();
  const question = readQuestion(message, view, asked, type);
  if (typeof question === "string") return question;
  const rcode = flags & RCODE_MASK;
  if (rcode !== 0) return { rcode, addresses: [], ttlSeconds: 0 };
  const records = readRecords(message, view, question, view.getUint16(6), type);
  return typeof records === "string" ? records : follow(records, asked, type);
}

interface DnsRecord {
  readonly owner: string;
  readonly type: number;
  readonly ttlSeconds: number;
  /** The address, or the name that an alias stands for. */
  readonly address: Uint8Array;
  readonly alias: string;
}

/** Offset behind the question, which must be ours. */
function readQuestion(message: Uint8Array, view: DataView, asked: string, type: number): number | string {
  if (view.getUint16(4) !== 1) return "not one question";
  const name = readName(message, HEADER_BYTES);
  if (name === null || name.end + 4 > message.length) return "malformed question";
  const same = name.text === asked && view.getUint16(name.end) === type && view.getUint16(name.end + 2) === CLASS_IN;
  return same ? name.end + 4 : "the answer to another question";
}

function readRecords(
  message: Uint8Array,
  view: DataView,
  start: number,
  count: number,
  wanted: number,
): DnsRecord[] | string {
  const records: DnsRecord[] = [];
  let at = start;
  for (let i = 0; i < count; i++) {
    const owner = readName(message, at);
    if (owner === null || owner.end + 10 > message.length) return "malformed record";
    at = owner.end;
    const type = view.getUint16(at);
    const recordClass = view.getUint16(at + 2);
    // A time to live with its highest bit set is zero (RFC 2181 §8).
    const ttl = view.getInt32(at + 4);
    const bytes = view.getUint16(at + 8);
    at += 10;
    if (at + bytes > message.length) return "a record beyond the message";
    const record = { owner: owner.text, type, ttlSeconds: Math.max(0, ttl) };
    if (recordClass === CLASS_IN && type === wanted) {
      if (bytes !== (wanted === TYPE_A ? 4 : 16)) return "an address of a wrong length";
      records.push({ ...record, address: message.slice(at, at + bytes), alias: "" });
    } else if (recordClass === CLASS_IN && type === TYPE_CNAME) {
      const alias = readName(message, at);
      if (alias === null || alias.end !== at + bytes) return "malformed alias";
      records.push({ ...record, address: new Uint8Array(0), alias: alias.text });
    }
    at += bytes;
  }
  return records;
}

/** From the name that was asked for, alias by alias, to addresses: what else a server volunteers is left aside. */
function follow(records: readonly DnsRecord[], asked: string, type: number): DnsAnswer {
  let name = asked;
  let ttlSeconds = Infinity;
  for (let step = 0; step < ALIASES_MAX; step++) {
    const alias = records.find((one) => one.owner === name && one.type === TYPE_CNAME);
    if (alias === undefined) break;
    ttlSeconds = Math.min(ttlSeconds, alias.ttlSeconds);
    name = alias.alias;
  }
  const found = records.filter((one) => one.owner === name && one.type === type).slice(0, ADDRESSES_MAX);
  for (const one of found) ttlSeconds = Math.min(ttlSeconds, one.ttlSeconds);
  return {
    rcode: 0,
    addresses: found.map((one) => one.address),
    ttlSeconds: ttlSeconds === Infinity ? 0 : ttlSeconds,
  };
}

/**
 * A name in lower case, and where what follows it begins. Null when it is malformed. Compression (RFC 1035 §4.1.4) points
 * backwards only, each time further than before: so there are no loops.
 */
function readName(message: Uint8Array, start: number): { text: string; end: number } | null {
  const labels: string[] = [];
  let at = start;
  let end = -1;
  let bytes = 1;
  let lowest = start;
  for (;;) {
    const length = message[at];
    if (length === undefined) return null;
    if (length === 0) break;
    if ((length & POINTER) === POINTER) {
      const low = message[at + 1];
      if (low === undefined) return null;
      if (end < 0) end = at + 2;
      const target = ((length & ~POINTER) << 8) | low;
      if (target >= lowest) return null;
      lowest = at = target;
      continue;
    }
    bytes += length + 1;
    if (length > LABEL_BYTES_MAX || bytes > NAME_BYTES_MAX || at + 1 + length > message.length) return null;
    let label = "";
    for (let i = at + 1; i <= at + length; i++) label += String.fromCharCode(message[i] as number);
    // A dot within a label would make another name of it once it is text.
    if (label.includes(".")) return null;
    labels.push(label.toLowerCase());
    at += 1 + length;
  }
  return { text: labels.join("."), end: end < 0 ? at + 1 : end };
}

function viewOf(message: Uint8Array): DataView {
  return new DataView(message.buffer, message.byteOffset, message.byteLength);
}
