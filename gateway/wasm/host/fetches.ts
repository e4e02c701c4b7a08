/** Host calls for a request of the plugin's own. `fetch` suspends the guest: its stack is kept while others run. */
import type { FetchCall, FetchResponse } from "#pipeline/filter.ts";
import { FETCH_BODY_BYTES_MAX, HEADER_VALUE_BYTES_MAX, REPLY_HEADERS_MAX } from "#sdk/types/abi.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import { PHASE_DEAD, PHASES_ALL, PHASES_WAIT } from "#wasm/guest/phases.ts";
import { leftMs, timeoutWithin, waitFor } from "./deadline.ts";
import type { Makers } from "./signature.ts";
import { isFieldValue, isLowerCaseToken, isOriginForm } from "./text.ts";
import { bytesOf, copyToGuest, latin1Of, textOf, textToGuest } from "./transfer.ts";

const NAME_BYTES_MAX = 256;
const METHOD_BYTES_MAX = 32;
const PATH_BYTES_MAX = 8192;
/** A stack of its own, a request, a turn of the loop: about 20 µs. */
const FETCH_COST = 10_000;

/** What the engine's own framing says must not be said twice. */
const OWN_HEADERS = new Set(["host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "expect"]);

const METHOD = /^[A-Z]{1,32}$/;

async function fetched(
  guest: Guest,
  answer: Promise<FetchResponse>,
  call: FetchCall,
  allowedMs: number,
): Promise<number> {
  let response: FetchResponse | null;
  try {
    response = await waitFor(guest, answer, allowedMs);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    response = { status: 0, headers: [], body: new Uint8Array(), error: reason };
  }
  if (guest.phase === PHASE_DEAD) {
    call.cancel?.();
    return 0;
  }
  guest.fetched = response;
  return response?.status ?? 0;
}

export const fetchCalls: Makers<
  "upstream_open" | "fetch_header" | "fetch" | "fetched_header" | "fetched_body" | "fetched_error"
> = {
  upstream_open: (guest) => (pointer, length) => {
    if (!guest.may(PHASES_ALL, "upstream_open")) return -1;
    const name = textOf(guest, pointer, length, NAME_BYTES_MAX, "an upstream's name");
    return name === null ? -1 : guest.environment.openUpstream(name);
  },

  fetch_header: (guest) => (namePointer, nameLength, pointer, length) => {
    if (!guest.may(PHASES_WAIT, "fetch_header")) return 0;
    const name = latin1Of(guest, namePointer, nameLength, NAME_BYTES_MAX, "a header name");
    const value = latin1Of(guest, pointer, length, HEADER_VALUE_BYTES_MAX, "a header value");
    if (name === null || value === null || guest.fetchHeaders.length >= REPLY_HEADERS_MAX) return 0;
    if (!isLowerCaseToken(name) || OWN_HEADERS.has(name) || !isFieldValue(value)) return 0;
    guest.fetchHeaders.push([name, value]);
    return 1;
  },

  fetch: (guest) => (handle, methodAt, methodLength, pathAt, pathLength, bodyAt, bodyLength, timeoutMs) => {
    if (!guest.may(PHASES_WAIT, "fetch")) return 0;
    const upstream = guest.environment.upstreams[handle];
    const method = latin1Of(guest, methodAt, methodLength, METHOD_BYTES_MAX, "a method");
    const path = latin1Of(guest, pathAt, pathLength, PATH_BYTES_MAX, "a path");
    const body = bytesOf(guest, bodyAt, bodyLength, FETCH_BODY_BYTES_MAX, "a fetch's body");
    if (method === null || path === null || body === null) return 0;
    if (upstream === undefined || !METHOD.test(method) || !isOriginForm(path)) {
      guest.fail(`fetch with handle ${handle}, method ${JSON.stringify(method)}, path ${JSON.stringify(path)}`);
      return 0;
    }
    guest.charge(FETCH_COST);
    const { services } = guest.environment;
    const allowedMs = leftMs(guest);
    if (allowedMs <= 0) {
      guest.expired = true;
      guest.fail("the deadline had passed before it fetched");
      return 0;
    }
    const headers = guest.fetchHeaders;
    guest.fetchHeaders = [];
    guest.fetched = null;
    const asked = timeoutWithin(allowedMs, timeoutMs);
    const call: FetchCall = { cancel: null };
    const answer = services.fetch(upstream, { method, path, headers, body, timeoutMs: asked, call });
    return fetched(guest, answer, call, allowedMs);
  },

  fetched_header: (guest) => (namePointer, nameLength, pointer, capacity) => {
    if (!guest.may(PHASES_WAIT, "fetched_header")) return -1;
    const name = latin1Of(guest, namePointer, nameLength, NAME_BYTES_MAX, "a header name");
    const found = guest.fetched?.headers.find((header) => header[0].toLowerCase() === name);
    if (found === undefined) return -1;
    const value = Buffer.from(found[1], "latin1");
    return copyToGuest(guest, value, 0, value.length, pointer, capacity);
  },

  fetched_body: (guest) => (pointer, capacity) => {
    if (!guest.may(PHASES_WAIT, "fetched_body")) return -1;
    const body = guest.fetched?.body;
    return body === undefined ? 0 : copyToGuest(guest, body, 0, body.length, pointer, capacity);
  },

  fetched_error: (guest) => (pointer, capacity) => {
    if (!guest.may(PHASES_WAIT, "fetched_error")) return -1;
    return textToGuest(guest, guest.fetched?.error ?? "", pointer, capacity);
  },
};
