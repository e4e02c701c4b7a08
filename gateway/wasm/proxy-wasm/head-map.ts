/**
 * A message head as Proxy-Wasm's maps show it: field lines in order, names in lower case, and before them what HTTP/2 calls
 * pseudo-header fields (`:authority :path :method :scheme`, `:status`). Reads go from the head's memory to the guest's
 * without a string between; edits are checked like anyone's.
 *
 * What frames a message or belongs to one connection is the gateway's (NAME_FIXED), and some fields can't be trailers. Toolchains
 * end a plugin whose edit is refused, and gateways they were made for take such edits, so they are answered OK without effect, but for
 * Content-Length: who touches it will change the content.
 */
import { HEAD_SECTION, TRAILER_SECTION } from "#http/fields.ts";
import { HOST, CONTENT_LENGTH, COOKIE, nameFlags } from "#http/names.ts";
import type { Head } from "#http/head.ts";
import type { GuestEnvironment } from "#wasm/guest/environment.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import { nameIdAt } from "#wasm/host/memory.ts";
import { isLowerCaseToken } from "#wasm/host/text.ts";
import { BAD_ARGUMENT, INTERNAL_FAILURE, OK } from "./abi.ts";
import { PAIRS_HEAD_BYTES, type Pair, pairBytes } from "./pairs.ts";

export const REQUEST_MAP = 0;
export const RESPONSE_MAP = 1;
export const TRAILER_MAP = 2;
export type MapKind = 0 | 1 | 2;

const COLON = 0x3a;
const NAMES = {
  [REQUEST_MAP]: [":authority", ":path", ":method", ":scheme"],
  [RESPONSE_MAP]: [":status"],
  [TRAILER_MAP]: [],
} as const satisfies Record<MapKind, readonly string[]>;

const VALUE_BYTES_MAX = 8192;
const NAME_BYTES_MAX = 256;

export class HeadMap {
  readonly head: Head;
  readonly kind: MapKind;
  /** `https` or `http`. */
  readonly scheme: string;

  constructor(head: Head, kind: MapKind, scheme: string) {
    this.head = head;
    this.kind = kind;
    this.scheme = scheme;
  }

  /** Pairs, pseudo-header fields included. */
  get count(): number {
    let count: number = NAMES[this.kind].length;
    for (let index = 0; index < this.head.fieldCount; index++) if (this.#isShown(index)) count++;
    return count;
  }

  /** Bytes that `write` needs; 0 for the empty map. */
  get serialisedBytes(): number {
    const { head } = this;
    let bytes = PAIRS_HEAD_BYTES;
    for (const name of NAMES[this.kind]) bytes += pairBytes(name.length, this.pseudo(name)?.length ?? 0);
    for (let index = 0; index < head.fieldCount; index++) {
      if (!this.#isShown(index)) continue;
      bytes += pairBytes(head.nameEnd(index) - head.nameStart(index), head.valueEnd(index) - head.valueStart(index));
    }
    return bytes === PAIRS_HEAD_BYTES ? 0 : bytes;
  }

  /** `target` has room for `serialisedBytes` from `at` on. */
  write(target: Uint8Array, at: number): void {
    const { head } = this;
    const { memory } = head;
    const names = NAMES[this.kind];
    const values = names.map((name) => this.pseudo(name) ?? "");
    const { count } = this;
    at = putWord(target, at, count);
    let texts = at + count * 8;
    for (let index = 0; index < names.length; index++) {
      const [name, value] = [names[index] as string, values[index] as string];
      at = putWord(target, putWord(target, at, name.length), value.length);
      texts = putText(target, putText(target, texts, name), value);
    }
    for (let index = 0; index < head.fieldCount; index++) {
      if (!this.#isShown(index)) continue;
      const [nameStart, nameEnd] = [head.nameStart(index), head.nameEnd(index)];
      const [valueStart, valueEnd] = [head.valueStart(index), head.valueEnd(index)];
      at = putWord(target, putWord(target, at, nameEnd - nameStart), valueEnd - valueStart);
      for (let from = nameStart; from < nameEnd; from++) target[texts++] = lower(memory[from] as number);
      target[texts++] = 0;
      for (let from = valueStart; from < valueEnd; from++) target[texts++] = memory[from] as number;
      target[texts++] = 0;
    }
  }

  /** Host stands as `:authority`, in a request. */
  #isShown(index: number): boolean {
    return !this.head.isRemoved(index) && (this.kind !== REQUEST_MAP || this.head.nameId(index) !== HOST);
  }

  pseudo(name: string): string | undefined {
    const { head } = this;
    if (this.kind === RESPONSE_MAP) return name === ":status" ? String(head.status) : undefined;
    if (this.kind === TRAILER_MAP) return undefined;
    switch (name) {
      case ":authority": {
        const host = head.find(HOST);
        return host < 0 ? head.hostText() : head.text(head.valueStart(host), head.valueEnd(host));
      }
      case ":path":
        return head.hasQuery ? `${head.pathText()}?${head.queryText()}` : head.pathText();
      case ":method":
        return head.methodText();
      case ":scheme":
        return this.scheme;
      default:
        return undefined;
    }
  }

  /** The index of the first field of a name in the guest's memory, or −1. The range is in it. */
  find(guest: Guest, pointer: number, length: number): number {
    if (length <= 0 || length > NAME_BYTES_MAX) return -1;
    const id = nameIdAt(guest, pointer, length);
    return id > 0 ? this.head.find(id) : this.#spelled(guest.bytes, pointer >>> 0, length, 0);
  }

  /** Further lines of the field at `index` follow it. */
  repeats(index: number): boolean {
    const id = this.head.nameId(index);
    if (id > 0) return this.head.find(id, index + 1) >= 0;
    const start = this.head.nameStart(index);
    return this.#spelled(this.head.memory, start, this.head.nameEnd(index) - start, index + 1) >= 0;
  }

  /** All lines of that field as one value (RFC 9110 section 5.3, RFC 9113 section 8.2.3 for Cookie). */
  joined(index: number): string {
    const { head } = this;
    const name = head.text(head.nameStart(index), head.nameEnd(index)).toLowerCase();
    const values: string[] = [];
    for (let at = index; at < head.fieldCount; at++) {
      if (head.isRemoved(at) || head.text(head.nameStart(at), head.nameEnd(at)).toLowerCase() !== name) continue;
      values.push(head.text(head.valueStart(at), head.valueEnd(at)));
    }
    return values.join(head.nameId(index) === COOKIE ? "; " : ", ");
  }

  /** A name that nobody has interned: compared octet by octet. */
  #spelled(bytes: Uint8Array, start: number, length: number, from: number): number {
    const { head } = this;
    for (let index = from; index < head.fieldCount; index++) {
      if (head.isRemoved(index) || head.nameEnd(index) - head.nameStart(index) !== length) continue;
      let same = 0;
      const at = head.nameStart(index);
      while (same < length && lower(head.memory[at + same] as number) === lower(bytes[start + same] as number)) same++;
      if (same === length) return index;
    }
    return -1;
  }

  /** Puts the value in the place of every field of that name, or behind them. `name` is in lower case. Answers a status. */
  put(
    name: string,
    environment: GuestEnvironment,
    source: Uint8Array,
    start: number,
    end: number,
    add: boolean,
  ): number {
    if (name.charCodeAt(0) === COLON) return this.#putPseudo(name, source, start, end);
    if (!isLowerCaseToken(name)) return BAD_ARGUMENT;
    const id = environment.nameId(name);
    return id < 0 ? INTERNAL_FAILURE : this.putKnown(id, source, start, end, add);
  }

  /** The same by the id of a name. */
  putKnown(id: number, source: Uint8Array, start: number, end: number, add: boolean): number {
    const { head } = this;
    if (end - start > VALUE_BYTES_MAX) return BAD_ARGUMENT;
    if (this.kind === REQUEST_MAP && id === HOST) return head.set(HOST, source, start, end) ? OK : BAD_ARGUMENT;
    if (this.#isFixed(id)) return this.#touchFixed(id);
    if (add ? head.add(id, source, start, end) : head.set(id, source, start, end)) return OK;
    for (let at = start; at < end; at++) if (isLineBreak(source[at] as number)) return BAD_ARGUMENT;
    return INTERNAL_FAILURE;
  }

  #putPseudo(name: string, source: Uint8Array, start: number, end: number): number {
    const { head } = this;
    const value = Buffer.from(source.subarray(start, end)).toString("latin1");
    if (value === this.pseudo(name)) return OK;
    let done = false;
    if (name === ":status" && this.kind === RESPONSE_MAP) done = head.setStatus(Number(value));
    else if (this.kind !== REQUEST_MAP) done = false;
    else if (name === ":path") done = head.setTarget(source, start, end);
    else if (name === ":authority") done = head.set(HOST, source, start, end);
    else if (name === ":method") done = head.setMethod(source, start, end);
    else if (name === ":scheme") done = value === "http" || value === "https";
    return done ? OK : BAD_ARGUMENT;
  }

  /** `name` is in lower case. */
  remove(name: string, environment: GuestEnvironment): number {
    if (!isLowerCaseToken(name)) return BAD_ARGUMENT;
    const id = environment.nameId(name);
    if (id < 0) return INTERNAL_FAILURE;
    if (this.#isFixed(id)) return this.#touchFixed(id);
    this.head.remove(id);
    return OK;
  }

  /**
   * Removes every field that a filter may remove, and adds these. Names that came with the message are not interned for it:
   * a client could use them up.
   */
  replace(pairs: readonly Pair[]): number {
    const { head } = this;
    for (let index = 0; index < head.fieldCount; index++) {
      if (this.#isShown(index) || this.kind !== REQUEST_MAP) head.removeAt(index);
    }
    for (const [name, value] of pairs) {
      const lower = name.toLowerCase();
      const bytes = Buffer.from(value, "latin1");
      if (lower.charCodeAt(0) === COLON) {
        const status = this.#putPseudo(lower, bytes, 0, bytes.length);
        if (status !== OK) return status;
        continue;
      }
      if (!isLowerCaseToken(lower) || bytes.length > VALUE_BYTES_MAX) return BAD_ARGUMENT;
      if (lower === "host" && this.kind === REQUEST_MAP) continue;
      if (!head.addSpelled(lower, bytes, 0, bytes.length) && bytes.some(isLineBreak)) return BAD_ARGUMENT;
    }
    return OK;
  }

  #isFixed(id: number): boolean {
    return (nameFlags(id) & (this.kind === TRAILER_MAP ? TRAILER_SECTION : HEAD_SECTION)) !== 0;
  }

  #touchFixed(id: number): number {
    if (id === CONTENT_LENGTH && this.kind !== TRAILER_MAP) this.head.forgetLength();
    return OK;
  }
}

function lower(octet: number): number {
  return octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet;
}

function isLineBreak(octet: number): boolean {
  return octet === 0x0a || octet === 0x0d || octet === 0;
}

function putWord(target: Uint8Array, at: number, value: number): number {
  target[at] = value;
  target[at + 1] = value >>> 8;
  target[at + 2] = value >>> 16;
  target[at + 3] = value >>> 24;
  return at + 4;
}

function putText(target: Uint8Array, at: number, text: string): number {
  for (let index = 0; index < text.length; index++) target[at++] = text.charCodeAt(index);
  target[at] = 0;
  return at + 1;
}
