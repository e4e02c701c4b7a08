/**
 * Host calls for requests of the plugin's own. The answer comes by `proxy_on_http_call_response`, also when there is none.
 * gRPC needs HTTP/2, which upstreams here do not speak: those calls are refused with the status that says so.
 */
import { BODY_BYTES_MAX } from "#sdk/types/abi.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import type { Handlers } from "#wasm/host/call-table.ts";
import { logLine } from "#wasm/host/log-line.ts";
import { isInMemory, textAt, viewOf, writeU32 } from "#wasm/host/memory.ts";
import { isFieldValue, isLowerCaseToken, isOriginForm } from "#wasm/host/text.ts";
import {
  BAD_ARGUMENT,
  INTERNAL_FAILURE,
  INVALID_MEMORY_ACCESS,
  OK,
  type PROXY_CALLS,
  UNIMPLEMENTED,
} from "#wasm/proxy-wasm/abi.ts";
import { giveAll } from "#wasm/proxy-wasm/give.ts";
import { decodePairs, type Pair } from "#wasm/proxy-wasm/pairs.ts";
import { type OutgoingCall, vmOf } from "#wasm/proxy-wasm/vm.ts";

type Names =
  | "proxy_http_call"
  | "proxy_get_status"
  | "proxy_grpc_call"
  | "proxy_grpc_stream"
  | "proxy_grpc_send"
  | "proxy_grpc_cancel"
  | "proxy_grpc_close";

/** A request, a turn of the loop, a callback: about 20 µs. */
const CALL_COST = 10_000;
const NAME_BYTES_MAX = 256;
/** Answers that one guest may wait for at once. */
const CALLS_MAX = 256;
const METHOD = /^[A-Z]{1,32}$/;
/** What the request's own framing says must not be said twice. */
const FRAMING = new Set(["connection", "content-length", "transfer-encoding", "upgrade", "te", "expect", "host"]);

type Wanted = Pick<OutgoingCall, "method" | "path" | "headers">;

/** What the pairs ask for; null when one of `:method :path :authority` is missing, or something can't be sent. */
function requestFrom(pairs: readonly Pair[]): Wanted | null {
  const pseudo = new Map<string, string>();
  const headers: Pair[] = [];
  for (const [name, value] of pairs) {
    const lower = name.toLowerCase();
    if (!isFieldValue(value)) return null;
    if (lower.startsWith(":")) pseudo.set(lower, value);
    else if (!isLowerCaseToken(lower)) return null;
    else if (!FRAMING.has(lower)) headers.push([lower, value]);
  }
  const method = pseudo.get(":method") ?? "";
  const path = pseudo.get(":path") ?? "";
  const authority = pseudo.get(":authority") ?? "";
  if (!METHOD.test(method) || !isOriginForm(path) || authority === "") return null;
  return { method, path, headers: [["host", authority], ...headers] };
}

/** Its handle, or −1, which is told: who runs a plugin that others have written has no other way to know what it wants. */
function upstreamOf(guest: Guest, cluster: string): number {
  const name = vmOf(guest).identity.clusters.get(cluster) ?? cluster;
  const upstream = guest.environment.openUpstream(name);
  if (upstream < 0) logLine(guest, "warn", `it calls the cluster "${cluster}", and the route allows no such upstream`);
  return upstream;
}

function refuseGrpc(guest: Guest): number {
  guest.charge(CALL_COST);
  logLine(guest, "warn", "it makes a gRPC call, which there is none of here");
  return UNIMPLEMENTED;
}

export const httpCalls: Handlers<Pick<typeof PROXY_CALLS, Names>> = {
  proxy_http_call:
    (guest) =>
    (name, nameLength, headers, headersLength, body, bodyLength, trailers, trailersLength, timeoutMs, idAt) => {
      const vm = vmOf(guest);
      const upstreamName = nameLength >>> 0 > NAME_BYTES_MAX ? null : textAt(guest, name, nameLength);
      const serialised = viewOf(guest, headers, headersLength);
      const bytes = viewOf(guest, body, bodyLength);
      const outside = !isInMemory(guest, trailers, trailersLength) || !isInMemory(guest, idAt, 4);
      if (serialised === null || bytes === null || outside) return INVALID_MEMORY_ACCESS;
      guest.charge(CALL_COST);
      const upstream = upstreamName === null ? -1 : upstreamOf(guest, upstreamName);
      const wanted = requestFrom(decodePairs(serialised) ?? []);
      if (upstream < 0 || wanted === null || bytes.length > BODY_BYTES_MAX) return BAD_ARGUMENT;
      if (vm.callsOut >= CALLS_MAX || !vm.alive) return INTERNAL_FAILURE;
      const index = guest.environment.upstreams[upstream] as number;
      const { deadlineMs } = guest.environment.spec.limits;
      const limit = Math.min(timeoutMs > 0 ? timeoutMs : deadlineMs, deadlineMs);
      const id = vm.call({ ...wanted, upstream: index, body: bytes.slice(), timeoutMs: limit, context: vm.active });
      return writeU32(guest, idAt, id) ? OK : INVALID_MEMORY_ACCESS;
    },

  proxy_get_status: (guest) => (codeAt, at, sizeAt) => {
    const vm = vmOf(guest);
    const message = Buffer.from(vm.answer?.error ?? "", "utf8");
    if (!writeU32(guest, codeAt, vm.answer?.status ?? 0)) return INVALID_MEMORY_ACCESS;
    return giveAll(vm, message, at, sizeAt);
  },

  proxy_grpc_call: (guest) => () => refuseGrpc(guest),
  proxy_grpc_stream: (guest) => () => refuseGrpc(guest),
  proxy_grpc_send: (guest) => () => refuseGrpc(guest),
  proxy_grpc_cancel: (guest) => () => refuseGrpc(guest),
  proxy_grpc_close: (guest) => () => refuseGrpc(guest),
};
