/** The ways of attaching, with something for the program to see where that can be had without another process. */
import net from "node:net";
import { once } from "node:events";
import { afterEach, beforeEach, expect, it } from "vitest";
import { PenstockError } from "#core/errors.ts";
import { inNetworkNamespace } from "#sys/netns.ts";
import {
  attachRawTracepoint,
  attachToCgroupLegacy,
  attachToNetfilter,
  attachToNetns,
  attachToSockets,
  attachToTracepoint,
  attachTracing,
  KernelIterator,
} from "#bpf/kernel/attach.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import { MAP_TYPE } from "#bpf/kernel/constants.ts";
import { BpfMap } from "#bpf/kernel/map.ts";
import { plainMap } from "#bpf/spec/plain-map.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { kindsSpec } from "#test/support/kinds-spec.ts";
import { Namespace, removeLeftovers } from "#test/support/netns.ts";
import { loadTiny } from "#test/support/tiny-program.ts";

/** A connection over loopback: state changes of sockets, packets, connects. */
async function connection(): Promise<void> {
  const server = net.createServer((socket) => socket.end()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const client = net.connect(port, "127.0.0.1");
  client.resume();
  await once(client, "close");
  server.close();
  await once(server, "close");
}

describeKernel("attaching", () => {
  let here: Namespace;
  let collection: Collection;
  const seen = (): bigint => collection.global("seen").get() as bigint;
  const inside = <T>(make: () => T): T => inNetworkNamespace(here.path, make);

  beforeEach(() => {
    removeLeftovers();
    here = new Namespace("attach");
    collection = Collection.load(kindsSpec());
  });
  afterEach(() => {
    collection.close();
    here.destroy();
  });

  it.each([
    ["raw_states", () => attachRawTracepoint(collection.program("raw_states"), "inet_sock_set_state")],
    ["typed_states", () => attachTracing(collection.program("typed_states"))],
  ])("%s sees what happens, and nothing more once its link is closed", async (_name, attach) => {
    const link = attach();
    await connection();
    expect(seen()).toBeGreaterThan(3n);
    link.close();
    const then = seen();
    await connection();
    expect(seen()).toBe(then);
  });

  it("a tracepoint by its number in tracefs, or says that there is no tracefs", async () => {
    try {
      const link = attachToTracepoint(collection.program("states"), "sock/inet_sock_set_state");
      await connection();
      expect(seen()).toBeGreaterThan(3n);
      link.close();
    } catch (error) {
      expect(error).toBeInstanceOf(PenstockError);
      expect(String(error)).toMatch(/no tracefs is mounted|none of that name|EACCES|EPERM/);
    }
  });

  it("netfilter, in one network namespace", () => {
    here.ip("link", "set", "lo", "up");
    const place = { family: "ipv4", hook: "input", priority: 10 } as const;
    const link = inside(() => attachToNetfilter(collection.program("accept_all"), place));
    here.run("bash", "-c", "echo x >/dev/udp/127.0.0.1/9");
    expect(seen()).toBeGreaterThan(0n);
    expect(link.info().programId).toBe(collection.program("accept_all").info().id);
    link.close();
    expect(() =>
      inside(() => attachToNetfilter(collection.program("accept_all"), { ...place, priority: -(2 ** 31) })),
    ).toThrow(/EINVAL|ERANGE/);
  });

  it("sk_lookup, in one network namespace, beside others", () => {
    const first = attachToNetns(collection.program("look"), here.path);
    const second = attachToNetns(collection.program("look"), here.path);
    expect(first.info().programId).toBe(second.info().programId);
    first.close();
    second.close();
  });

  it("iterators, run as often as they are read", () => {
    const program = loadTiny("iter/tcp");
    const iterator = new KernelIterator(program);
    expect(iterator.read()).toEqual(Buffer.alloc(0));
    expect(iterator.read()).toEqual(Buffer.alloc(0));
    iterator.close();
    program.close();
  });

  it.each(["sk_msg", "sk_skb/stream_verdict", "sk_skb/stream_parser"])("%s, on the sockets of a map", (section) => {
    const sizes = { keyBytes: 4, valueBytes: 4, maxEntries: 2 };
    const map = BpfMap.create(plainMap({ ...sizes, name: "sockets", type: MAP_TYPE.SOCKMAP }));
    const program = loadTiny(section, 1);
    const attachment = attachToSockets(program, map);
    attachment.close();
    expect(() => attachment.close()).toThrow(/ENOENT|EINVAL/);
    program.close();
    map.close();
  });

  it("refuses a program where it does not belong", () => {
    expect(() => attachToNetns(collection.program("connects"), here.path)).toThrow(/could not be attached/);
    expect(() => attachToCgroupLegacy(collection.program("connects"), "/proc")).toThrow(/could not be attached/);
    expect(() => attachRawTracepoint(collection.program("raw_states"), "no_such_event")).toThrow(
      /could not be attached/,
    );
  });
});
