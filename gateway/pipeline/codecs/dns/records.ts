/** Data of DNS records (RFC 1035 §3.3, RFC 3596, RFC 2782): the types that scripts ask about as values, others as bytes. */
import { isUtf8 } from "node:buffer";
import { formatIp, isIpv4, parseIp } from "#core/address.ts";
import { readName, writeName } from "./names.ts";

export const TYPES: Readonly<Record<string, number>> = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  SVCB: 64,
  HTTPS: 65,
  ANY: 255,
  CAA: 257,
};
const NAMES = new Map(Object.entries(TYPES).map(([name, number]) => [number, name]));

export interface SoaData {
  readonly primary: string;
  readonly mailbox: string;
  readonly serial: number;
  readonly refresh: number;
  readonly retry: number;
  readonly expire: number;
  readonly minimum: number;
}

/** A, AAAA: an address. CNAME, NS, PTR: a name. TXT: its strings. Those without a form of their own, or TXT that is no text: bytes. */
export type RecordData =
  | string
  | readonly string[]
  | { readonly preference: number; readonly exchange: string }
  | { readonly priority: number; readonly weight: number; readonly port: number; readonly target: string }
  | SoaData
  | Uint8Array;

/** `A`, or `TYPE4711` (RFC 3597 §5). */
export function typeName(number: number): string {
  return NAMES.get(number) ?? `TYPE${number}`;
}

/** Throws RangeError. */
export function typeNumber(name: string): number {
  const [, digits] = /^TYPE(\d{1,5})$/.exec(name) ?? [];
  const number = TYPES[name] ?? (digits === undefined ? -1 : Number(digits));
  if (number < 0 || number > 0xffff) throw new RangeError(`${JSON.stringify(name)} is no type of record`);
  return number;
}

/** Null when the bytes are not what the type says. */
export function readData(message: Uint8Array, at: number, length: number, type: string): RecordData | null {
  const end = at + length;
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  switch (type) {
    case "A":
      return length === 4 ? message.subarray(at, end).join(".") : null;
    case "AAAA":
      return length === 16 ? formatIp(message.subarray(at, end)) : null;
    case "CNAME":
    case "NS":
    case "PTR":
      return nameUpTo(message, at, end);
    case "TXT":
      return readTexts(message, at, end);
    case "MX": {
      const exchange = length < 3 ? null : nameUpTo(message, at + 2, end);
      return exchange === null ? null : { preference: view.getUint16(at), exchange };
    }
    case "SRV": {
      const target = length < 7 ? null : nameUpTo(message, at + 6, end);
      if (target === null) return null;
      return { priority: view.getUint16(at), weight: view.getUint16(at + 2), port: view.getUint16(at + 4), target };
    }
    case "SOA":
      return readSoa(message, at, end, view);
    default:
      return new Uint8Array(message.subarray(at, end));
  }
}

/** Throws RangeError for data that is not of the type. */
export function writeData(out: number[], type: string, data: RecordData, known: Map<string, number>): void {
  if (data instanceof Uint8Array) out.push(...data);
  else if (typeof data === "string") writeText(out, type, data, known);
  else if (type === "TXT" && Array.isArray(data)) writeTexts(out, data as readonly string[]);
  else if (type === "MX" && "exchange" in data) {
    u16(out, data.preference);
    writeName(out, data.exchange, known);
  } else if (type === "SRV" && "target" in data) {
    u16(out, data.priority);
    u16(out, data.weight);
    u16(out, data.port);
    // Not shortened (RFC 2782): resolvers need not understand it.
    writeName(out, data.target, new Map());
  } else if (type === "SOA" && "primary" in data) {
    writeName(out, data.primary, known);
    writeName(out, data.mailbox, known);
    for (const number of [data.serial, data.refresh, data.retry, data.expire, data.minimum]) u32(out, number);
  } else throw new RangeError(`not the data of a record of type ${type}`);
}

function writeText(out: number[], type: string, data: string, known: Map<string, number>): void {
  if (type === "CNAME" || type === "NS" || type === "PTR") return writeName(out, data, known);
  if (type === "TXT") return writeTexts(out, [data]);
  if (type !== "A" && type !== "AAAA") throw new RangeError(`the data of a record of type ${type} is no text`);
  const ip = parseIp(data);
  if (type === "A" && !isIpv4(ip)) throw new RangeError(`${data} is no IPv4 address`);
  out.push(...(type === "A" ? ip.subarray(12) : ip));
}

function nameUpTo(message: Uint8Array, at: number, end: number): string | null {
  const read = readName(message, at);
  return read === null || read.end !== end ? null : read.name;
}

/** Bytes where some of it is not UTF-8, so that it can be passed on as it came. */
function readTexts(message: Uint8Array, start: number, end: number): readonly string[] | Uint8Array | null {
  const texts: string[] = [];
  let [at, isText] = [start, true];
  while (at < end) {
    const next = at + 1 + (message[at] as number);
    if (next > end) return null;
    const bytes = message.subarray(at + 1, next);
    isText &&= isUtf8(bytes);
    texts.push(Buffer.from(bytes).toString("utf8"));
    at = next;
  }
  return isText ? texts : new Uint8Array(message.subarray(start, end));
}

function writeTexts(out: number[], texts: readonly string[]): void {
  for (const text of texts) {
    const bytes = Buffer.from(text);
    if (bytes.length > 255) throw new RangeError("a text of more than 255 bytes");
    out.push(bytes.length, ...bytes);
  }
}

function readSoa(message: Uint8Array, at: number, end: number, view: DataView): SoaData | null {
  const primary = readName(message, at);
  const mailbox = primary === null ? null : readName(message, primary.end);
  if (primary === null || mailbox === null || mailbox.end + 20 !== end) return null;
  const from = mailbox.end;
  return {
    primary: primary.name,
    mailbox: mailbox.name,
    serial: view.getUint32(from),
    refresh: view.getUint32(from + 4),
    retry: view.getUint32(from + 8),
    expire: view.getUint32(from + 12),
    minimum: view.getUint32(from + 16),
  };
}

export function u16(out: number[], value: number): void {
  out.push((value >> 8) & 0xff, value & 0xff);
}

export function u32(out: number[], value: number): void {
  u16(out, Math.floor(value / 65_536));
  u16(out, value % 65_536);
}
