/**
 * Host calls over heads. Those of the response can be said before there is one: they are kept, and put on it when it comes. So
 * can trailers, before the body is over.
 * What the interface calls a panic of the host ends the guest.
 */
import { HOST, NAME_FIXED, nameFlags, newestName } from "#http/names.ts";
import type { Head } from "#http/head.ts";
import type { GuestEnvironment } from "#wasm/guest/environment.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import type { Handlers } from "#wasm/host/call-table.ts";
import { isInMemory, latin1At, nameIdAt, writeBytes } from "#wasm/host/memory.ts";
import { isFieldValue, isLowerCaseToken } from "#wasm/host/text.ts";
import {
  type HANDLER_CALLS,
  KIND_REQUEST,
  KIND_REQUEST_TRAILERS,
  KIND_RESPONSE,
  KIND_RESPONSE_TRAILERS,
} from "#wasm/http-wasm/abi.ts";
import { type HandlerBody, type HeaderEdit, handlerOf } from "#wasm/http-wasm/handler.ts";

type Names =
  | "get_header_names"
  | "get_header_values"
  | "set_header_value"
  | "add_header_value"
  | "remove_header"
  | "get_method"
  | "set_method"
  | "get_uri"
  | "set_uri"
  | "get_protocol_version"
  | "get_source_addr"
  | "get_status_code"
  | "set_status_code";

const FIELDS_COST = 200;
const VALUE_BYTES_MAX = 8192;
/** Edits of a response, or of trailers, that there are not yet. */
const EDITS_MAX = 64;
const OK = 200;
/** A count of one, in the upper half of an answer. */
const ONE = 1n << 32n;

/** Writes text into the buffer if it fits. Answers its length. */
export function putText(guest: Guest, text: string, pointer: number, limit: number): number {
  const bytes = Buffer.from(text, "latin1");
  return putBytes(guest, bytes, pointer, limit);
}

export function putBytes(guest: Guest, bytes: Uint8Array, pointer: number, limit: number): number {
  if (bytes.length > 0 && bytes.length <= limit >>> 0 && !writeBytes(guest, pointer, bytes)) {
    guest.fail(`a host call with a buffer at ${pointer >>> 0}, outside the memory`);
  }
  return bytes.length;
}

/** Each with a NUL behind it; count << 32 | bytes. */
function putList(guest: Guest, texts: readonly string[], pointer: number, limit: number): bigint {
  if (texts.length === 0) return 0n;
  const bytes = putText(guest, `${texts.join("\0")}\0`, pointer, limit);
  return (BigInt(texts.length) << 32n) | BigInt(bytes);
}

/** Values of a head's fields of one name, without a string between. */
function putValues(guest: Guest, head: Head, id: number, pointer: number, limit: number): bigint {
  let count = 0;
  let bytes = 0;
  for (let index = head.find(id); index >= 0; index = head.find(id, index + 1)) {
    count++;
    bytes += head.valueEnd(index) - head.valueStart(index) + 1;
  }
  if (count > 0 && bytes <= limit >>> 0) {
    if (!isInMemory(guest, pointer, bytes)) {
      guest.fail(`a host call with a buffer at ${pointer >>> 0}, outside the memory`);
      return 0n;
    }
    const target = guest.bytes;
    let to = pointer >>> 0;
    for (let index = head.find(id); index >= 0; index = head.find(id, index + 1)) {
      const end = head.valueEnd(index);
      for (let at = head.valueStart(index); at < end; at++) target[to++] = head.memory[at] as number;
      target[to++] = 0;
    }
    guest.wrote(pointer >>> 0, bytes);
  }
  return count === 1 ? ONE | BigInt(bytes) : (BigInt(count) << 32n) | BigInt(bytes);
}

function textOf(guest: Guest, pointer: number, length: number, what: string): string | null {
  const text = length >>> 0 > VALUE_BYTES_MAX ? null : latin1At(guest, pointer, length);
  if (text === null) guest.fail(`${what} of ${length >>> 0} bytes at ${pointer >>> 0}, too long or outside the memory`);
  return text;
}

/** The head of a kind, or null: there is none now. Of kinds that there are not, the guest is ended. */
function headOf(guest: Guest, kind: number): Head | null {
  const { exchange, afterNext } = handlerOf(guest);
  guest.charge(FIELDS_COST);
  if (kind >>> 0 > KIND_RESPONSE_TRAILERS) guest.fail(`headers of the unknown kind ${kind}`);
  if (exchange === null) return null;
  if (kind > KIND_RESPONSE) return sideOf(guest, kind).trailing?.trailers ?? null;
  if (kind === KIND_REQUEST) return exchange.request;
  return afterNext ? exchange.response : null;
}

/** The body that trailers of a kind go behind. */
function sideOf(guest: Guest, kind: number): HandlerBody {
  const { request, response } = handlerOf(guest);
  return kind === KIND_REQUEST_TRAILERS ? request : response;
}

/** Fields of a kind: the head's, or what was said of one that there is not yet. */
function entriesOf(guest: Guest, kind: number): readonly (readonly [string, string])[] {
  const head = headOf(guest, kind);
  if (head !== null) return head.entries();
  if (kind === KIND_REQUEST) return [];
  const kept = kind === KIND_RESPONSE ? handlerOf(guest).edits : sideOf(guest, kind).trailerEdits;
  return kept.flatMap(({ name, value }) => (value === null ? [] : [[name, value] as const]));
}

function edit(guest: Guest, kind: number, made: HeaderEdit): void {
  const handler = handlerOf(guest);
  if (!isLowerCaseToken(made.name) || (made.value !== null && !isFieldValue(made.value))) {
    guest.fail(`a header ${JSON.stringify(made.name)} that can't be sent`);
  } else if ((kind === KIND_REQUEST || kind === KIND_REQUEST_TRAILERS) && handler.afterNext) {
    guest.fail("an edit of the request's headers after it has gone on");
  } else if (kind > KIND_RESPONSE) {
    editTrailer(guest, kind, made);
  } else if (kind === KIND_RESPONSE && !handler.afterNext) {
    handler.edits = withEdit(guest, handler.edits, made);
  } else {
    const head = headOf(guest, kind);
    if (head !== null) applyOrFail(guest, head, made);
  }
}

/** Of a message that can't have any the edit has no effect. */
function editTrailer(guest: Guest, kind: number, made: HeaderEdit): void {
  if (kind > KIND_RESPONSE_TRAILERS) {
    guest.fail(`headers of the unknown kind ${kind}`);
    return;
  }
  const side = sideOf(guest, kind);
  const { trailing } = side;
  if (trailing === null) {
    side.trailerEdits = withEdit(guest, side.trailerEdits, made);
    return;
  }
  const trailers = made.value === null ? trailing.trailers : trailing.makeTrailers();
  if (trailers !== null) applyOrFail(guest, trailers, made);
}

function withEdit(guest: Guest, edits: readonly HeaderEdit[], made: HeaderEdit): HeaderEdit[] {
  const replaces = made.replaces || made.value === null;
  const kept = replaces ? edits.filter(({ name }) => name !== made.name) : [...edits];
  if (kept.length >= EDITS_MAX) guest.fail(`more than ${EDITS_MAX} headers of a response, or trailers`);
  else kept.push(made);
  return kept;
}

/** The same; without room for its name the guest is ended. */
export function applyOrFail(guest: Guest, head: Head, made: HeaderEdit): void {
  if (!applyEdit(guest.environment, head, made)) {
    guest.fail(`more header names than the ${newestName()} that there can be`);
  }
}

/** What frames the message is the gateway's, and not every field can be a trailer: such an edit has no effect. False: no room for its name. */
export function applyEdit(environment: GuestEnvironment, head: Head, { name, value, replaces }: HeaderEdit): boolean {
  const id = environment.nameId(name);
  if (id < 0) return false;
  if ((nameFlags(id) & NAME_FIXED) !== 0) return true;
  if (value === null) {
    head.remove(id);
    return true;
  }
  const bytes = Buffer.from(value, "latin1");
  if (replaces || id === HOST) head.set(id, bytes, 0, bytes.length);
  else head.add(id, bytes, 0, bytes.length);
  return true;
}

function change(
  guest: Guest,
  kind: number,
  name: number,
  nameLength: number,
  value: number,
  length: number,
  replaces: boolean,
): void {
  if (kind === KIND_REQUEST && changeKnown(guest, name, nameLength, value, length, replaces)) return;
  const nameText = textOf(guest, name, nameLength, "a header's name");
  const valueText = textOf(guest, value, length, "a header's value");
  if (nameText !== null && valueText !== null) {
    edit(guest, kind, { name: nameText.toLowerCase(), value: valueText, replaces });
  }
}

/** A request's header whose name is known, and whose value can be sent, without a string between. False: not done. */
function changeKnown(
  guest: Guest,
  name: number,
  nameLength: number,
  value: number,
  length: number,
  replaces: boolean,
): boolean {
  const { exchange, afterNext } = handlerOf(guest);
  const id = nameIdAt(guest, name, nameLength);
  if (exchange === null || afterNext || id === 0 || length > VALUE_BYTES_MAX) return false;
  if (id === HOST || (nameFlags(id) & NAME_FIXED) !== 0 || !isInMemory(guest, value, length)) return false;
  const { request } = exchange;
  const start = value >>> 0;
  const end = start + (length >>> 0);
  return replaces ? request.set(id, guest.bytes, start, end) : request.add(id, guest.bytes, start, end);
}

export const headCalls: Handlers<Pick<typeof HANDLER_CALLS, Names>> = {
  get_header_names: (guest) => (kind, pointer, limit) => {
    const names = new Set(entriesOf(guest, kind).map(([name]) => name));
    return putList(guest, [...names], pointer, limit);
  },

  get_header_values: (guest) => (kind, name, nameLength, pointer, limit) => {
    const id = nameIdAt(guest, name, nameLength);
    const head = id > 0 ? headOf(guest, kind) : null;
    if (head !== null) return putValues(guest, head, id, pointer, limit);
    const wanted = textOf(guest, name, nameLength, "a header's name")?.toLowerCase();
    const values = entriesOf(guest, kind).flatMap(([known, value]) => (known === wanted ? [value] : []));
    return putList(guest, values, pointer, limit);
  },

  set_header_value: (guest) => (kind, name, nameLength, value, length) =>
    change(guest, kind, name, nameLength, value, length, true),

  add_header_value: (guest) => (kind, name, nameLength, value, length) =>
    change(guest, kind, name, nameLength, value, length, false),

  remove_header: (guest) => (kind, name, nameLength) => {
    const text = textOf(guest, name, nameLength, "a header's name");
    if (text !== null) edit(guest, kind, { name: text.toLowerCase(), value: null, replaces: true });
  },

  get_method: (guest) => (pointer, limit) =>
    putText(guest, handlerOf(guest).exchange?.request.methodText() ?? "", pointer, limit),

  set_method: (guest) => (pointer, length) => {
    const { exchange, afterNext } = handlerOf(guest);
    const text = textOf(guest, pointer, length, "a method");
    if (text === null || exchange === null) return;
    const bytes = Buffer.from(text, "latin1");
    if (afterNext || !exchange.request.setMethod(bytes, 0, bytes.length)) {
      guest.fail(`the method ${JSON.stringify(text)}, which the request can't be given now`);
    }
  },

  get_uri: (guest) => (pointer, limit) => {
    const request = handlerOf(guest).exchange?.request;
    if (request === undefined) return 0;
    const path = request.pathText();
    return putText(guest, request.hasQuery ? `${path}?${request.queryText()}` : path, pointer, limit);
  },

  set_uri: (guest) => (pointer, length) => {
    const { exchange, afterNext } = handlerOf(guest);
    const text = textOf(guest, pointer, length, "a URI");
    if (text === null || exchange === null) return;
    const bytes = Buffer.from(text === "" ? "/" : text, "latin1");
    if (afterNext || !exchange.request.setTarget(bytes, 0, bytes.length)) {
      guest.fail(`the URI ${JSON.stringify(text)}, which the request can't be given now`);
    }
  },

  get_protocol_version: (guest) => (pointer, limit) =>
    putText(guest, handlerOf(guest).exchange?.request.minor === 0 ? "HTTP/1.0" : "HTTP/1.1", pointer, limit),

  get_source_addr: (guest) => (pointer, limit) => {
    const { exchange } = handlerOf(guest);
    return putText(guest, exchange?.facts?.clientSocket ?? exchange?.clientAddress ?? "", pointer, limit);
  },

  get_status_code: (guest) => () => {
    const { exchange, afterNext, status } = handlerOf(guest);
    return afterNext && exchange !== null ? exchange.response.status : status === 0 ? OK : status;
  },

  set_status_code: (guest) => (status) => {
    const handler = handlerOf(guest);
    const { exchange, afterNext } = handler;
    if (status < 200 || status > 599) guest.fail(`the status ${status}`);
    else if (!afterNext) handler.status = status;
    else if (exchange !== null && !exchange.response.setStatus(status)) {
      guest.fail(`the status ${status}, which the response can't be given`);
    }
  },
};
