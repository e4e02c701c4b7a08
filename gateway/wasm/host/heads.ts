/** Host calls over the heads of the exchange. The ones on the path of every request allocate nothing. */
import { formatIp } from "#core/address.ts";
import type { Head } from "#http/head.ts";
import { findName } from "#http/names.ts";
import { HEAD_REQUEST, HEAD_RESPONSE, HEADER_VALUE_BYTES_MAX, REQUEST_PARTS } from "#sdk/types/abi.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import {
  PHASE_RESPONSE_BODY,
  PHASES_ALL,
  PHASES_EXCHANGE,
  PHASES_HEADS,
  PHASES_REQUEST_HEAD,
} from "#wasm/guest/phases.ts";
import type { Makers } from "./signature.ts";
import { isLowerCaseToken } from "./text.ts";
import { chargeCopy, copyToGuest, inMemory, latin1Of, textToGuest } from "./transfer.ts";

const NAME_BYTES_MAX = 256;
/** A name is compared in words of so many bytes. */
const NAME_WORD_BYTES = 4;
/** Copying so much is covered by the price of the host call. */
const FREE_BYTES = 48;

const HTTP = Uint8Array.from(Buffer.from("http"));
const HTTPS = Uint8Array.from(Buffer.from("https"));

/** Index of the field at a position that counts only what is still there, or −1. */
function fieldAt(guest: Guest, head: Head, position: number): number {
  guest.charge(head.fieldCount);
  let left = position >>> 0;
  for (let index = 0; index < head.fieldCount; index++) {
    if (head.isRemoved(index)) continue;
    if (left === 0) return index;
    left--;
  }
  return -1;
}

/** Names are told in lower case, however they were written. */
function nameToGuest(guest: Guest, head: Head, index: number, pointer: number, capacity: number): number {
  const start = head.nameStart(index);
  const length = head.nameEnd(index) - start;
  if (length > capacity >>> 0) return length;
  if (!inMemory(guest, pointer, length)) return -1;
  const { bytes } = guest;
  for (let at = 0; at < length; at++) {
    const octet = head.memory[start + at] as number;
    bytes[(pointer >>> 0) + at] = octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet;
  }
  guest.wrote(pointer >>> 0, length);
  return length;
}

/**
 * The id of a name that a guest of the filter has asked for before, without a string; else 0. Components ask by name, at every
 * call. It costs what the way by a string does: the same input, the same fuel.
 */
function knownName(guest: Guest, pointer: number, length: number): number {
  const { bytes } = guest;
  const start = pointer >>> 0;
  if (length < NAME_WORD_BYTES || length > NAME_BYTES_MAX || start + length > bytes.length) return 0;
  const id = findName(guest.view, start, length);
  if (id === 0 || !guest.environment.hasName(id)) return 0;
  for (let at = start; at < start + length; at++) {
    const octet = bytes[at] as number;
    if (octet >= 0x41 && octet <= 0x5a) return 0;
  }
  chargeCopy(guest, length);
  return id;
}

/** A value that may be tried; a longer one is refused, as one that holds a line break is. */
function isValueRange(guest: Guest, pointer: number, length: number): boolean {
  if (!inMemory(guest, pointer, length) || length >>> 0 > HEADER_VALUE_BYTES_MAX) return false;
  if (length > FREE_BYTES) guest.charge(length);
  return true;
}

function partToGuest(guest: Guest, part: number, pointer: number, capacity: number): number {
  const { exchange, stream } = guest;
  if (stream !== null && part === REQUEST_PARTS.clientBytes) {
    return copyToGuest(guest, stream.clientIp, 0, 16, pointer, capacity);
  }
  if (stream !== null && part === REQUEST_PARTS.clientAddress) {
    return textToGuest(guest, formatIp(stream.clientIp), pointer, capacity);
  }
  if (exchange === null) return guest.fail("request_part without a request");
  const head = exchange.request;
  switch (part) {
    case REQUEST_PARTS.method:
      return copyToGuest(guest, head.memory, head.methodStart, head.methodEnd, pointer, capacity);
    case REQUEST_PARTS.path:
      return copyToGuest(guest, head.memory, head.pathStart, head.pathEnd, pointer, capacity);
    case REQUEST_PARTS.query:
      return copyToGuest(guest, head.memory, head.queryStart, head.queryEnd, pointer, capacity);
    case REQUEST_PARTS.host:
      return copyToGuest(guest, head.memory, head.hostStart, head.hostEnd, pointer, capacity);
    case REQUEST_PARTS.scheme: {
      const scheme = exchange.scheme === "https" ? HTTPS : HTTP;
      return copyToGuest(guest, scheme, 0, scheme.length, pointer, capacity);
    }
    case REQUEST_PARTS.clientAddress: {
      return textToGuest(guest, exchange.clientAddress, pointer, capacity);
    }
    case REQUEST_PARTS.clientBytes:
      return copyToGuest(guest, exchange.clientAddressBytes, 0, 16, pointer, capacity);
    default:
      return guest.fail(`request_part of the unknown part ${part}`);
  }
}

/** The client is known until the exchange is over; the rest, as long as the heads are. */
function partPhases(part: number): number {
  const ofClient = part === REQUEST_PARTS.clientAddress || part === REQUEST_PARTS.clientBytes;
  return ofClient ? PHASES_EXCHANGE : PHASES_REQUEST_HEAD;
}

export const headCalls: Makers<
  | "name_id"
  | "header_get"
  | "header_count"
  | "header_name"
  | "header_value"
  | "header_set"
  | "header_add"
  | "header_remove"
  | "request_part"
  | "set_target"
  | "status"
  | "set_status"
> = {
  name_id: (guest) => (pointer, length) => {
    if (!guest.may(PHASES_ALL, "name_id")) return -1;
    const known = knownName(guest, pointer, length);
    if (known > 0) return known;
    const text = latin1Of(guest, pointer, length, NAME_BYTES_MAX, "a header name");
    return text !== null && isLowerCaseToken(text) ? guest.environment.nameId(text) : -1;
  },

  header_get: (guest) => (which, name, pointer, capacity) => {
    const head = guest.head(which);
    if (head === null) return -1;
    // 0 stands for names that nobody has interned, so it would find some field.
    const index = name > 0 ? head.find(name, 0) : -1;
    if (index < 0) return -1;
    return copyToGuest(guest, head.memory, head.valueStart(index), head.valueEnd(index), pointer, capacity);
  },

  header_count: (guest) => (which) => {
    const head = guest.head(which);
    if (head === null) return -1;
    guest.charge(head.fieldCount);
    let count = 0;
    for (let index = 0; index < head.fieldCount; index++) if (!head.isRemoved(index)) count++;
    return count;
  },

  header_name: (guest) => (which, position, pointer, capacity) => {
    const head = guest.head(which);
    if (head === null) return -1;
    const index = fieldAt(guest, head, position);
    return index < 0 ? -1 : nameToGuest(guest, head, index, pointer, capacity);
  },

  header_value: (guest) => (which, position, pointer, capacity) => {
    const head = guest.head(which);
    if (head === null) return -1;
    const index = fieldAt(guest, head, position);
    if (index < 0) return -1;
    return copyToGuest(guest, head.memory, head.valueStart(index), head.valueEnd(index), pointer, capacity);
  },

  header_set: (guest) => (which, name, pointer, length) => {
    const head = guest.editableHead(which);
    if (head === null || !isValueRange(guest, pointer, length)) return 0;
    const start = pointer >>> 0;
    return head.set(name, guest.bytes, start, start + (length >>> 0)) ? 1 : 0;
  },

  header_add: (guest) => (which, name, pointer, length) => {
    const head = guest.editableHead(which);
    if (head === null || !isValueRange(guest, pointer, length)) return 0;
    const start = pointer >>> 0;
    return head.add(name, guest.bytes, start, start + (length >>> 0)) ? 1 : 0;
  },

  header_remove: (guest) => (which, name) => {
    const head = guest.editableHead(which, false);
    return head !== null && head.remove(name) > 0 ? 1 : 0;
  },

  request_part: (guest) => (part, pointer, capacity) => {
    if (!guest.may(partPhases(part), "request_part")) return -1;
    return partToGuest(guest, part, pointer, capacity);
  },

  set_target: (guest) => (pointer, length) => {
    const head = guest.editableHead(HEAD_REQUEST);
    if (head === null || !inMemory(guest, pointer, length)) return 0;
    guest.charge(length >>> 0);
    const start = pointer >>> 0;
    return head.setTarget(guest.bytes, start, start + (length >>> 0)) ? 1 : 0;
  },

  status: (guest) => () => {
    if (!guest.may(PHASES_HEADS | PHASE_RESPONSE_BODY, "status")) return 0;
    return guest.responseIsOpen && guest.exchange !== null ? guest.exchange.response.status : 0;
  },

  set_status: (guest) => (status) => {
    const head = guest.editableHead(HEAD_RESPONSE);
    return head !== null && head.setStatus(status) ? 1 : 0;
  },
};
