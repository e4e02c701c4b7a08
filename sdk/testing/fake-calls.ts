/** The host calls of the fake host: short, plain, over strings. */
import { LOG_LEVELS, MAP_KEYS, MAP_VALUES, REQUEST_PARTS } from "#sdk/types/abi.ts";
import { textOfBytes } from "./bytes.ts";
import { byteCalls } from "./fake-bytes.ts";
import { isEditable, isHeaderName, isHeaderValue } from "./fake-headers.ts";
import type { FakeMap } from "./fake-map.ts";
import type { Exchange, FakeCalls, FakeState } from "./fake-state.ts";
import { tenantCalls } from "./fake-tenant.ts";

/** The clock of cases. */
export const FAKE_NOW_MS = 1_700_000_000_000;
/** CLOCK_BOOTTIME of cases: expiries are counted from it. */
export const FAKE_BOOT_MS = 1_000_000;

function partOf(exchange: Exchange, part: number): Uint8Array {
  const [path = "", query = ""] = exchange.target.split("?");
  const texts: Record<number, string> = {
    [REQUEST_PARTS.method]: exchange.method,
    [REQUEST_PARTS.path]: path,
    [REQUEST_PARTS.query]: query,
    [REQUEST_PARTS.host]: exchange.host,
    [REQUEST_PARTS.scheme]: exchange.scheme,
    [REQUEST_PARTS.clientAddress]: exchange.client,
  };
  return part === REQUEST_PARTS.clientBytes ? exchange.clientBytes : Buffer.from(texts[part] ?? "");
}

export function makeCalls(host: FakeState): FakeCalls {
  const read = (pointer: number, length: number) => {
    const bytes = host.bytes.slice(pointer >>> 0, (pointer >>> 0) + (length >>> 0));
    if (bytes.length !== length >>> 0) throw new RangeError(`${pointer} + ${length} lies outside the memory`);
    return bytes;
  };
  const text = (pointer: number, length: number) => Buffer.from(read(pointer, length)).toString();
  const write = (value: string | Uint8Array | undefined, pointer: number, capacity: number) => {
    if (value === undefined) return -1;
    const bytes = typeof value === "string" ? Buffer.from(value) : value;
    if (bytes.length <= capacity) host.bytes.set(bytes, pointer);
    return bytes.length;
  };
  const exchange = (): Exchange => {
    if (host.exchange === null) throw new Error("there is no exchange");
    return host.exchange;
  };
  const name = (id: number) => host.names[id - 1];
  const maps = [...host.maps];
  const upstreams = Object.keys(host.upstreams);
  const mapAt = (handle: number): FakeMap => {
    const open = maps[handle];
    if (open === undefined) throw new Error(`unknown map handle ${handle}`);
    return open[1];
  };
  const bit = (done: boolean) => (done ? 1 : 0);

  return {
    ...byteCalls(host, { read, text, write, exchange }),
    ...tenantCalls(host, { read, text, write, exchange }),
    name_id: (at: number, length: number) => {
      const lower = text(at, length);
      if (!isHeaderName(lower)) return -1;
      const known = host.names.indexOf(lower);
      return known >= 0 ? known + 1 : host.names.push(lower);
    },
    header_get: (head: number, id: number, at: number, room: number) =>
      write(host.headersOf(head).get(name(id)), at, room),
    header_count: (head: number) => host.headersOf(head).fields.length,
    header_name: (head: number, position: number, at: number, room: number) =>
      write(host.headersOf(head).fields[position]?.[0], at, room),
    header_value: (head: number, position: number, at: number, room: number) =>
      write(host.headersOf(head).fields[position]?.[1], at, room),
    header_set: (head: number, id: number, at: number, length: number) =>
      bit(host.headersOf(head).set(name(id), text(at, length))),
    header_add: (head: number, id: number, at: number, length: number) =>
      bit(host.headersOf(head).add(name(id), text(at, length))),
    header_remove: (head: number, id: number) => bit(host.headersOf(head).remove(name(id))),
    request_part: (part: number, at: number, room: number) => write(partOf(exchange(), part), at, room),
    set_target: (at: number, length: number) => {
      const target = text(at, length);
      if (!target.startsWith("/")) return 0;
      exchange().target = target;
      return 1;
    },
    status: () => exchange().status,
    set_status: (status: number) => {
      exchange().status = status;
      return 1;
    },
    reply_header: (id: number, at: number, length: number) => {
      const header = name(id);
      const value = text(at, length);
      if (!isEditable(header) || !isHeaderValue(value)) return 0;
      host.replyHeaders.push([header, value]);
      return 1;
    },
    reply: (status: number, at: number, length: number) => {
      host.reply = { status, headers: host.replyHeaders, body: text(at, length) };
      return undefined;
    },
    config_get: (keyAt: number, keyLength: number, at: number, room: number) =>
      write(host.config.get(text(keyAt, keyLength)), at, room),
    log: (level: number, at: number, length: number) => {
      host.logs.push(`${LOG_LEVELS[level] ?? "?"}: ${text(at, length)}`);
      return undefined;
    },
    map_open: (at: number, length: number) => maps.findIndex(([key]) => key === text(at, length)),
    map_shape: (handle: number, at: number) => {
      const { spec, keyBytes, valueBytes } = mapAt(handle);
      const shape = new Uint32Array([MAP_KEYS[spec.key], MAP_VALUES[spec.value], keyBytes, valueBytes]);
      write(new Uint8Array(shape.buffer), at, 16);
      return undefined;
    },
    map_get: (handle: number, keyAt: number, keyLength: number, at: number, room: number) =>
      write(mapAt(handle).get(read(keyAt, keyLength)), at, room),
    map_put: (handle: number, keyAt: number, keyLength: number, at: number, length: number) => {
      mapAt(handle).put(read(keyAt, keyLength), read(at, length));
      return 1;
    },
    map_delete: (handle: number, keyAt: number, keyLength: number) => bit(mapAt(handle).delete(read(keyAt, keyLength))),
    map_next: (handle: number, keyAt: number, keyLength: number, at: number, room: number) =>
      write(mapAt(handle).next(keyLength === 0 ? null : read(keyAt, keyLength)), at, room),
    map_increment: (handle: number, keyAt: number, keyLength: number, delta: bigint) =>
      mapAt(handle).increment(read(keyAt, keyLength), delta),
    upstream_open: (at: number, length: number) => upstreams.indexOf(text(at, length)),
    fetch_header: (nameAt: number, nameLength: number, at: number, length: number) => {
      host.fetchHeaders.push([text(nameAt, nameLength), text(at, length)]);
      return 1;
    },
    fetch: (
      handle: number,
      methodAt: number,
      methodLength: number,
      pathAt: number,
      pathLength: number,
      bodyAt: number,
      bodyLength: number,
    ) => {
      const upstream = upstreams[handle];
      if (upstream === undefined) throw new Error(`unknown upstream handle ${handle}`);
      const path = text(pathAt, pathLength);
      const headers = host.fetchHeaders.map(([key, value]) => ` ${key}=${value}`).join("");
      host.fetches.push(`${upstream} ${text(methodAt, methodLength)} ${path}${headers}`);
      host.fetchHeaders = [];
      if (bodyLength > 0) host.fetchBodies.push(textOfBytes(read(bodyAt, bodyLength)));
      const answers = host.upstreams[upstream] ?? {};
      host.fetched = answers[path] ?? answers["*"] ?? { status: 0, error: "no such answer" };
      return host.fetched.status;
    },
    fetched_header: (nameAt: number, nameLength: number, at: number, room: number) =>
      write(host.fetched?.headers?.[text(nameAt, nameLength)], at, room),
    fetched_body: (at: number, room: number) => write(host.fetched?.body ?? "", at, room),
    fetched_error: (at: number, room: number) => write(host.fetched?.error ?? "", at, room),
    now_ms: () => FAKE_NOW_MS,
    boot_ms: () => FAKE_BOOT_MS,
    random_bytes: (at: number, length: number) => {
      host.bytes.fill(0x5a, at, at + length);
      return undefined;
    },
  };
}
