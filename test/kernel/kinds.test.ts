/** Every kind of map and program that the loader knows, made for real; what this kernel refuses says what is missing. */
import { expect, it } from "vitest";
import { PenstockError } from "#core/errors.ts";
import { BPF_F_NO_PREALLOC, MAP_TYPE } from "#bpf/kernel/constants.ts";
import { BpfMap, possibleCpus } from "#bpf/kernel/map.ts";
import { MAP_KINDS } from "#bpf/kernel/since.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { loadTiny } from "#test/support/tiny-program.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import { plainMap } from "#bpf/spec/plain-map.ts";
import { kindsSpec } from "#test/support/kinds-spec.ts";

function make(type: number, keyBytes: number, valueBytes: number, maxEntries: number, flags = 0): BpfMap {
  return BpfMap.create(plainMap({ name: "kind", type, keyBytes, valueBytes, maxEntries, flags }));
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const KEY = u32(1);
const VALUE = Buffer.from("0102030405060708", "hex");
const NO_KEY = Buffer.alloc(0);

/** A value by key, put in, read, and found by walking. */
function keeps(map: BpfMap, key: Buffer = KEY, value: Buffer = VALUE): void {
  map.update(key, value);
  expect(map.lookup(key)).toEqual(value);
  expect(map.entries().some(([each, found]) => each.equals(key) && found.equals(value))).toBe(true);
}

/** Has no entries that a process could put in: being made is all. */
function exists(map: BpfMap): void {
  expect(map.info.id).toBeGreaterThan(0);
}

const perCpu = (): Buffer => Buffer.concat(Array.from({ length: possibleCpus() }, () => VALUE));
const PREFIX = Buffer.from("080000000a000000", "hex");

const MAPS: readonly (readonly [keyof typeof MAP_TYPE, () => BpfMap, (map: BpfMap) => void])[] = [
  ["HASH", () => make(MAP_TYPE.HASH, 4, 8, 4), keeps],
  ["ARRAY", () => make(MAP_TYPE.ARRAY, 4, 8, 4), keeps],
  ["PROG_ARRAY", () => make(MAP_TYPE.PROG_ARRAY, 4, 4, 4), exists],
  ["PERF_EVENT_ARRAY", () => make(MAP_TYPE.PERF_EVENT_ARRAY, 4, 4, 0), exists],
  ["PERCPU_HASH", () => make(MAP_TYPE.PERCPU_HASH, 4, 8, 4), (map) => keeps(map, KEY, perCpu())],
  ["PERCPU_ARRAY", () => make(MAP_TYPE.PERCPU_ARRAY, 4, 8, 4), (map) => keeps(map, KEY, perCpu())],
  ["STACK_TRACE", () => make(MAP_TYPE.STACK_TRACE, 4, 8 * 16, 4), exists],
  ["CGROUP_ARRAY", () => make(MAP_TYPE.CGROUP_ARRAY, 4, 4, 4), exists],
  ["LRU_HASH", () => make(MAP_TYPE.LRU_HASH, 4, 8, 4), keeps],
  ["LRU_PERCPU_HASH", () => make(MAP_TYPE.LRU_PERCPU_HASH, 4, 8, 64), (map) => keeps(map, KEY, perCpu())],
  ["LPM_TRIE", () => make(MAP_TYPE.LPM_TRIE, 8, 8, 4, BPF_F_NO_PREALLOC), (map) => keeps(map, PREFIX)],
  ["DEVMAP", () => make(MAP_TYPE.DEVMAP, 4, 4, 4), exists],
  ["DEVMAP_HASH", () => make(MAP_TYPE.DEVMAP_HASH, 4, 4, 4), exists],
  ["SOCKMAP", () => make(MAP_TYPE.SOCKMAP, 4, 4, 4), exists],
  ["SOCKHASH", () => make(MAP_TYPE.SOCKHASH, 4, 4, 4), exists],
  ["CPUMAP", () => make(MAP_TYPE.CPUMAP, 4, 4, 1), (map) => map.update(u32(0), u32(192))],
  ["XSKMAP", () => make(MAP_TYPE.XSKMAP, 4, 4, 4), exists],
  ["REUSEPORT_SOCKARRAY", () => make(MAP_TYPE.REUSEPORT_SOCKARRAY, 4, 8, 4), exists],
  ["CGROUP_STORAGE", () => make(MAP_TYPE.CGROUP_STORAGE, 8, 8, 0), exists],
  ["PERCPU_CGROUP_STORAGE", () => make(MAP_TYPE.PERCPU_CGROUP_STORAGE, 8, 8, 0), exists],
  ["QUEUE", () => make(MAP_TYPE.QUEUE, 0, 8, 4), (map) => order(map, ["first", "second"])],
  ["STACK", () => make(MAP_TYPE.STACK, 0, 8, 4), (map) => order(map, ["second", "first"])],
  ["RINGBUF", () => make(MAP_TYPE.RINGBUF, 0, 0, 4096), exists],
  ["USER_RINGBUF", () => make(MAP_TYPE.USER_RINGBUF, 0, 0, 4096), exists],
  ["BLOOM_FILTER", () => make(MAP_TYPE.BLOOM_FILTER, 0, 8, 4), blooms],
];

function order(map: BpfMap, expected: readonly string[]): void {
  for (const each of ["first", "second"]) map.update(NO_KEY, Buffer.from(each.padEnd(8)));
  expect(expected.map(() => map.take(NO_KEY)?.toString().trim())).toEqual(expected);
  expect(map.take(NO_KEY)).toBeNull();
}

function blooms(map: BpfMap): void {
  map.update(NO_KEY, VALUE);
  expect(map.has(VALUE)).toBe(true);
  expect(map.has(Buffer.alloc(8, 0xee))).toBe(false);
}

/** Section and what the program must return for the verifier; names as in libbpf's list. */
const PROGRAMS: readonly (readonly [string, number])[] = [
  ["socket", 0],
  ["tc", 0],
  ["classifier", 0],
  ["tcx/ingress", 0],
  ["tcx/egress", 0],
  ["netkit/primary", 0],
  ["netkit/peer", 0],
  ["xdp", 2],
  ["xdp.frags", 2],
  ["xdp/devmap", 2],
  ["xdp/cpumap", 2],
  ["perf_event", 0],
  ["cgroup_skb/ingress", 1],
  ["cgroup_skb/egress", 1],
  ["cgroup/sock_create", 1],
  ["cgroup/sock_release", 1],
  ["cgroup/post_bind4", 1],
  ["cgroup/post_bind6", 1],
  ["lwt_in", 0],
  ["lwt_out", 0],
  ["lwt_xmit", 0],
  ["lwt_seg6local", 0],
  ["sockops", 1],
  ["sk_skb/stream_parser", 0],
  ["sk_skb/stream_verdict", 1],
  ["sk_skb/verdict", 1],
  ["cgroup/dev", 1],
  ["sk_msg", 1],
  ["cgroup/bind4", 1],
  ["cgroup/bind6", 1],
  ["cgroup/connect4", 1],
  ["cgroup/connect6", 1],
  ["cgroup/connect_unix", 1],
  ["cgroup/sendmsg4", 1],
  ["cgroup/sendmsg6", 1],
  ["cgroup/recvmsg4", 1],
  ["cgroup/recvmsg6", 1],
  ["cgroup/getpeername4", 1],
  ["cgroup/getpeername6", 1],
  ["cgroup/getsockname4", 1],
  ["cgroup/getsockname6", 1],
  ["sk_reuseport", 1],
  ["sk_reuseport/migrate", 1],
  ["flow_dissector", 0],
  ["cgroup/sysctl", 1],
  ["cgroup/getsockopt", 1],
  ["cgroup/setsockopt", 1],
  ["sk_lookup", 1],
  ["syscall", 0],
  ["netfilter", 1],
  ["tp/sock/inet_sock_set_state", 0],
  ["raw_tp/inet_sock_set_state", 0],
  ["tp_btf/inet_sock_set_state", 0],
  ["iter/tcp", 0],
];

/** What developers' kernel and CI refuse (locked down, no ftrace): the error must say what is missing. */
const MAY_BE_REFUSED: readonly (readonly [string, RegExp])[] = [
  ["kprobe/tcp_connect", /kprobe/],
  ["fentry/tcp_connect", /fentry, fexit and fmod_ret need ftrace/],
  ["fexit/tcp_connect", /fentry, fexit and fmod_ret need ftrace/],
  ["lsm/file_open", /lsm programs need CONFIG_BPF_LSM/],
  // Iterators that are given a map's values: late 6.18 refuses them without a word of why, those over everything else not.
  ["iter/bpf_map_elem", /EPERM/],
];

describeKernel("kinds", () => {
  it.each(MAPS)("map: %s", (_name, create, use) => {
    const map = create();
    try {
      use(map);
    } finally {
      map.close();
    }
  });

  it("maps that need types, and maps of maps, as an object declares them", () => {
    const collection = Collection.load(kindsSpec(), { programs: [] });
    const types = Object.fromEntries(Array.from(collection.maps.values(), (map) => [map.name, map.info.type]));
    expect(types).toMatchObject({
      sockets: MAP_TYPE.SK_STORAGE,
      tasks: MAP_TYPE.TASK_STORAGE,
      inodes: MAP_TYPE.INODE_STORAGE,
      cgroups: MAP_TYPE.CGRP_STORAGE,
      array_of_maps: MAP_TYPE.ARRAY_OF_MAPS,
      hash_of_maps: MAP_TYPE.HASH_OF_MAPS,
    });
    collection.close();
  });

  it("has a test for each kind of map, but the one that is left out with a reason", () => {
    const tested = new Set<number>(MAPS.map(([name]) => MAP_TYPE[name]));
    const byObject = [MAP_TYPE.SK_STORAGE, MAP_TYPE.TASK_STORAGE, MAP_TYPE.INODE_STORAGE, MAP_TYPE.CGRP_STORAGE];
    for (const type of [...byObject, MAP_TYPE.ARRAY_OF_MAPS, MAP_TYPE.HASH_OF_MAPS]) tested.add(type);
    const missing = Object.keys(MAP_KINDS).filter((type) => !tested.has(Number(type)));
    expect(missing.map((type) => MAP_KINDS[Number(type)]?.name)).toEqual(["struct_ops", "arena"]);
    expect(() => make(26, 4, 8, 1)).toThrow(/congestion control.*no business/);
  });

  it.each(PROGRAMS)("program: %s", (section, returns) => {
    const program = loadTiny(section, returns);
    expect(program.info().id).toBeGreaterThan(0);
    program.close();
  });

  it.each(MAY_BE_REFUSED)("program: %s, or what is missing for it", (section, words) => {
    try {
      loadTiny(section).close();
    } catch (error) {
      expect(error).toBeInstanceOf(PenstockError);
      expect(String(error)).toMatch(words);
    }
  });

  it("names a tracepoint that is not there", () => {
    expect(() => loadTiny("tp_btf/no_such_event")).toThrow(/no_such_event/);
  });
});
