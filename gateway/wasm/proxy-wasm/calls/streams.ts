/** Host calls that decide about streams and contexts: what they ask for is done when the callback is over. */
import { BODY_BYTES_MAX, REPLY_HEADERS_MAX } from "#sdk/types/abi.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import type { Handlers } from "#wasm/host/call-table.ts";
import { isInMemory, viewOf } from "#wasm/host/memory.ts";
import { isFieldValue, isLowerCaseToken } from "#wasm/host/text.ts";
import {
  BAD_ARGUMENT,
  INVALID_MEMORY_ACCESS,
  NOT_FOUND,
  OK,
  STREAM_REQUEST,
  STREAM_RESPONSE,
  STREAM_UPSTREAM,
  type PROXY_CALLS,
} from "#wasm/proxy-wasm/abi.ts";
import { HttpContext, type LocalReply } from "#wasm/proxy-wasm/contexts.ts";
import { decodePairs } from "#wasm/proxy-wasm/pairs.ts";
import { ROOT_ID, vmOf } from "#wasm/proxy-wasm/vm.ts";

type Names =
  | "proxy_continue_stream"
  | "proxy_close_stream"
  | "proxy_continue_request"
  | "proxy_continue_response"
  | "proxy_clear_route_cache"
  | "proxy_send_local_response"
  | "proxy_set_effective_context"
  | "proxy_done";

/** Larger ones (SDKs give −1) say that there is none. */
const GRPC_STATUS_MAX = 16;

function goOn(guest: Guest, type: number): number {
  const vm = vmOf(guest);
  const direction = vm.active?.direction(type) ?? null;
  if (vm.active === null || direction === null) return BAD_ARGUMENT;
  direction.wantsOn = true;
  vm.mark(vm.active);
  return OK;
}

/** The reply, or null for headers that can't be sent. What frames the message is the gateway's and left out. */
function replyFrom(status: number, pairs: readonly (readonly [string, string])[], body: Uint8Array): LocalReply | null {
  const headers: (readonly [string, string])[] = [];
  for (const [name, value] of pairs) {
    const lower = name.toLowerCase();
    if (lower.startsWith(":")) continue;
    if (!isLowerCaseToken(lower) || !isFieldValue(value)) return null;
    if (!FIXED.has(lower)) headers.push([lower, value]);
  }
  return headers.length > REPLY_HEADERS_MAX ? null : { status, headers, body };
}

function isGrpc(context: HttpContext): boolean {
  return context.exchange?.request.get("content-type")?.startsWith("application/grpc") === true;
}

/** The gateway's own, in a reply. */
const FIXED: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

export const streamCalls: Handlers<Pick<typeof PROXY_CALLS, Names>> = {
  proxy_continue_stream: (guest) => (type) => (type >>> 0 > STREAM_UPSTREAM ? BAD_ARGUMENT : goOn(guest, type)),

  proxy_close_stream: (guest) => (type) => {
    const vm = vmOf(guest);
    const direction = type >>> 0 > STREAM_UPSTREAM ? null : (vm.active?.direction(type) ?? null);
    if (vm.active === null || direction === null) return BAD_ARGUMENT;
    direction.wantsClose = true;
    vm.mark(vm.active);
    return OK;
  },

  proxy_continue_request: (guest) => () => goOn(guest, STREAM_REQUEST),

  proxy_continue_response: (guest) => () => goOn(guest, STREAM_RESPONSE),

  // A route is chosen once here, before its plugins run.
  proxy_clear_route_cache: () => () => OK,

  proxy_send_local_response:
    (guest) => (status, details, detailsLength, body, bodyLength, headers, headersLength, grpcStatus) => {
      const vm = vmOf(guest);
      const bytes = viewOf(guest, body, bodyLength);
      const serialised = viewOf(guest, headers, headersLength);
      if (bytes === null || serialised === null || !isInMemory(guest, details, detailsLength)) {
        return INVALID_MEMORY_ACCESS;
      }
      const context = vm.active;
      const pairs = decodePairs(serialised);
      if (!(context instanceof HttpContext) || !context.mayReply || pairs === null) return BAD_ARGUMENT;
      if (status < 200 || status > 599 || bytes.length > BODY_BYTES_MAX) return BAD_ARGUMENT;
      const grpc = grpcStatus >>> 0 <= GRPC_STATUS_MAX && isGrpc(context);
      const all = grpc ? [...pairs, ["grpc-status", String(grpcStatus)] as const] : pairs;
      const reply = replyFrom(status, all, bytes.slice());
      if (reply === null) return BAD_ARGUMENT;
      context.reply = reply;
      vm.mark(context);
      return OK;
    },

  proxy_set_effective_context: (guest) => (id) => {
    const vm = vmOf(guest);
    const context = id === ROOT_ID ? null : vm.contexts.get(id >>> 0);
    if (context === undefined) return BAD_ARGUMENT;
    vm.active = context;
    return OK;
  },

  proxy_done: (guest) => () => {
    const vm = vmOf(guest);
    const context = vm.active;
    if (context === null || !context.pendingDone) return NOT_FOUND;
    context.pendingDone = false;
    vm.mark(context);
    return OK;
  },
};
