/** The admin API's operations on shared maps: in the kernel where the map is there, else on the copies in user space. */
import type { MapReply, MapRequest } from "#control/protocol.ts";
import type { MapEntry } from "#worker/protocol.ts";
import type { KernelPart } from "./kernel-part.ts";
import type { UserMap, UserMaps } from "./user-maps.ts";
import type { Workers } from "./workers.ts";

type Result = MapReply["result"];
/** The most that one answer carries. */
const LIST_MAX = 10_000;

/** Of a map that is not in the kernel; changes go to every worker. */
function inUserSpace(map: UserMap, { op, map: name }: MapRequest, workers: Workers): Result {
  switch (op.kind) {
    case "get":
      return { ok: true, entries: present(map.get(op.key)) };
    case "put":
      if (!map.put(op.key, op.value)) return full(name);
      workers.broadcast({ type: "map-change", map: name, op: "put", key: op.key, value: op.value });
      return { ok: true };
    case "delete": {
      const deleted = map.delete(op.key);
      workers.broadcast({ type: "map-change", map: name, op: "delete", key: op.key });
      return { ok: true, deleted };
    }
    case "list":
      return { ok: true, ...map.list(op.after, Math.min(op.limit, LIST_MAX)) };
  }
}

function inKernel(kernel: KernelPart, { op, map: name }: MapRequest): Result {
  switch (op.kind) {
    case "get":
      return { ok: true, entries: present(kernel.read(name, op.key)) };
    case "put":
      return kernel.write(name, op.key, op.value) === "done" ? { ok: true } : full(name);
    case "delete":
      return { ok: true, deleted: kernel.remove(name, op.key) };
    case "list":
      return { ok: true, ...kernel.list(name, op.after, Math.min(op.limit, LIST_MAX)) };
  }
}

export function serveMapRequest(request: MapRequest, kernel: KernelPart, userMaps: UserMaps, workers: Workers): Result {
  try {
    if (kernel.mapFd(request.map) !== null) return inKernel(kernel, request);
    const map = userMaps.get(request.map);
    if (map === undefined) return { ok: false, code: "no-map", detail: request.map };
    return inUserSpace(map, request, workers);
  } catch (error) {
    return { ok: false, code: "failed", detail: error instanceof Error ? error.message : String(error) };
  }
}

function present(entry: MapEntry | null): MapEntry[] {
  return entry === null ? [] : [entry];
}

function full(name: string): Result {
  return { ok: false, code: "full", detail: name };
}
