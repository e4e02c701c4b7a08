/** Bindings with real connections and datagrams between namespaces; checksum offload is off on every device. */
import { once } from "node:events";
import path from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { familyOf, parseAddress } from "#core/address.ts";
import type { Fd } from "#core/brands.ts";
import { inNetworkNamespace } from "#sys/netns.ts";
import { bind, close, SOCK_DGRAM, socket } from "#sys/socket.ts";
import { KernelManager } from "#bpf/manager/manager.ts";
import type { Declaration } from "#bpf/manager/declarations.ts";
import type { BindingDeclaration, BindPlace } from "#bpf/programs/bind/declaration.ts";
import { Answering } from "#test/support/answering.ts";
import { Echo } from "#test/support/udp-echo.ts";
import { removeLeftoverBpffs, TestBpffs } from "#test/support/bpffs.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { connect, Namespace, removeLeftovers } from "#test/support/netns.ts";

const CONNECT = path.join(import.meta.dirname, "../support/connect-many.ts");
const CLIENT = path.join(import.meta.dirname, "../support/l4-client.ts");
const place = (prefix: string | null, first: number, last = first): BindPlace => ({ prefix, ports: [{ first, last }] });
const WEB: BindingDeclaration = {
  name: "web",
  listener: 0,
  protocol: "tcp",
  match: [place("192.0.2.0/24", 1000, 1999), place("2001:db8:2::/64", 1000, 1999)],
  deny: [place("192.0.2.66", 1500)],
  except: [place("192.0.2.7", 1234)],
  onFailure: "open",
  leaseMs: 60_000,
};
const DNS: BindingDeclaration = {
  ...WEB,
  name: "dns",
  listener: 1,
  protocol: "udp",
  match: [place(null, 2000, 2999)],
  deny: [],
  except: [],
};

describeKernel("bindings", () => {
  let client: Namespace;
  let gateway: Namespace;
  let manager: KernelManager;
  let open: { close(): void }[] = [];
  let web: { readonly addresses: string[]; readonly sockets: Fd[] };
  let dns: { readonly addresses: string[]; readonly sockets: Fd[] };

  beforeAll(() => {
    removeLeftovers();
    client = new Namespace("bind-c");
    gateway = new Namespace("bind-g");
    connect(client, { device: "cl0", addresses: ["10.78.1.2/24", "fd00:78:1::2/64"] }, gateway, {
      device: "gw0",
      addresses: ["10.78.1.1/24", "fd00:78:1::1/64"],
    });
    client.ip("route", "add", "192.0.2.0/24", "via", "10.78.1.1");
    client.ip("-6", "route", "add", "2001:db8:2::/64", "via", "fd00:78:1::1");
    // A whole prefix is this host's, without an address of it being there.
    gateway.ip("route", "add", "local", "192.0.2.0/24", "dev", "lo");
    gateway.ip("-6", "route", "add", "local", "2001:db8:2::/64", "dev", "lo");
  });
  afterAll(() => {
    for (const each of [client, gateway]) each.destroy();
  });

  beforeEach(async () => {
    manager = KernelManager.open();
    const servers = [await serve("127.0.0.1:18080", "web"), await serve("[::1]:18080", "web")];
    web = { addresses: ["127.0.0.1:18080", "[::1]:18080"], sockets: servers.map(({ fd }) => fd) };
    const echo = keep(new Echo(gateway, "[::]:15353"));
    dns = { addresses: ["[::]:15353"], sockets: [echo.fd] };
  });
  afterEach(() => {
    inside(() => manager.close());
    for (const each of open) each.close();
    open = [];
  });

  const inside = <T>(work: () => T): T => inNetworkNamespace(gateway.path, work);
  const keep = <T extends { close(): void }>(each: T): T => {
    open.push(each);
    return each;
  };
  const serve = async (address: string, label: string): Promise<Answering> =>
    keep(await Answering.at(gateway, address, label));

  function declare(...bindings: BindingDeclaration[]): void {
    const listeners = [
      { name: "web", ...web },
      { name: "dns", ...dns },
    ];
    const declaration: Declaration = { maps: [], kernel: { interfaces: [], steering: [], bindings }, listeners };
    inside(() => manager.commit(manager.prepare(declaration)));
  }

  async function ask(...targets: string[]): Promise<string[]> {
    const script = `printf '%s\\n' ${targets.map((each) => `'${each}'`).join(" ")} | '${process.execPath}' '${CONNECT}' 4`;
    const child = client.spawn("sh", "-c", script);
    let printed = "";
    child.stdout?.on("data", (bytes: Buffer) => (printed += bytes.toString()));
    await once(child, "close");
    return printed.trim().split("\n");
  }

  /** By connected sockets: an answer from elsewhere than where they sent to never reaches them. */
  async function datagrams(...targets: (readonly [host: string, port: number])[]): Promise<string[]> {
    const child = client.spawnWithInput(process.execPath, CLIENT);
    let printed = "";
    child.stdout?.on("data", (bytes: Buffer) => {
      printed += bytes.toString();
      if (printed.split("\n").length > targets.length) child.stdin?.end();
    });
    for (const [id, [host, port]] of targets.entries()) {
      child.stdin?.write(`${JSON.stringify({ id, op: "datagram", key: String(id), host, port, text: "hi" })}\n`);
    }
    await once(child, "close");
    const answers = printed
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { id: number; text: string });
    return answers.toSorted((a, b) => a.id - b.id).map(({ text }) => text);
  }

  const counters = (binding: string): Record<string, number> => {
    const family = manager.status().counters.find(({ name }) => name === "kernel_bindings_lookups");
    const own = family?.samples.filter(({ labels }) => labels["binding"] === binding && labels["outcome"] !== "") ?? [];
    return Object.fromEntries(own.filter(({ value }) => value > 0).map((each) => [each.labels["outcome"], each.value]));
  };

  it("give a range of ports on whole prefixes to one listener, which sees where each was going", async () => {
    declare(WEB);
    expect(await ask("192.0.2.1 1000", "192.0.2.254 1999", "2001:db8:2::5 1234")).toEqual([
      "web 192.0.2.1:1000",
      "web 192.0.2.254:1999",
      "web [2001:db8:2::5]:1234",
    ]);
    // The handshake's last segment is looked up by the request, not by the listener.
    expect(counters("web")).toEqual({ bound: 3 });
  });

  it("refuse what is denied, leave what is excepted, and have no say in anything else", async () => {
    await serve("192.0.2.7:1234", "own");
    await serve("192.0.2.7:80", "other");
    declare(WEB);
    expect(await ask("192.0.2.66 1500", "192.0.2.7 1234", "192.0.2.7 80", "192.0.2.1 2000", "192.0.2.66 1501")).toEqual(
      ["error ECONNREFUSED", "own 192.0.2.7:1234", "other 192.0.2.7:80", "error ECONNREFUSED", "web 192.0.2.66:1501"],
    );
    expect(counters("web")).toEqual({ bound: 1, denied: 1 });
  });

  it("answer UDP from where the client sent to, over both families, by any port", async () => {
    declare(DNS);
    const targets = [
      ["10.78.1.1", 2000],
      ["192.0.2.99", 2053],
      ["fd00:78:1::1", 2999],
      ["2001:db8:2::7", 2001],
    ] as const;
    expect(await datagrams(...targets)).toEqual(targets.map(() => "echo hi"));
    expect(counters("dns")).toEqual({ bound: 4, mended: 4 });
    expect(
      manager
        .status()
        .programs.map(({ name, attachedTo }) => `${name} ${attachedTo}`)
        .toSorted(),
    ).toEqual(["bind_lookup netns sk_lookup", "bind_reply tcx:gw0 egress", "bind_reply tcx:lo egress"]);
  });

  it("fail open or closed, as declared, when the lease has lapsed or the listener is gone", async () => {
    await serve("192.0.2.1:1100", "own");
    declare({ ...WEB, leaseMs: 1 });
    expect(await ask("192.0.2.1 1100")).toEqual(["own 192.0.2.1:1100"]);
    expect(counters("web")).toEqual({ lapsed: 1 });
    declare({ ...WEB, leaseMs: 1, onFailure: "closed" });
    expect(await ask("192.0.2.1 1100")).toEqual(["error ECONNREFUSED"]);
    declare({ ...WEB, onFailure: "closed" });
    expect(await ask("192.0.2.1 1100")).toEqual(["web 192.0.2.1:1100"]);
    for (const each of open.splice(0, 2)) each.close();
    expect(await ask("192.0.2.1 1100")).toEqual(["error ECONNREFUSED"]);
    expect(counters("web")).toMatchObject({ no_socket: 1 });
  });

  it("find each of as many ranges as a prefix has room for, and nothing between them", async () => {
    const ports = Array.from({ length: 64 }, (_, i) => ({ first: 1000 + 2 * i, last: 1000 + 2 * i }));
    declare({ ...WEB, match: [{ prefix: "192.0.2.0/24", ports }], deny: [], except: [] });
    const at = [999, 1000, 1001, 1002, 1062, 1063, 1064, 1125, 1126, 1127];
    expect(await ask(...at.map((port) => `192.0.2.1 ${port}`))).toEqual(
      at.map((port) => (port % 2 === 0 ? `web 192.0.2.1:${port}` : "error ECONNREFUSED")),
    );
  });

  it("change as a whole: no connection meets neither the old nor the new", async () => {
    await serve("192.0.2.1:1100", "own");
    declare(WEB);
    const [before] = manager.status().programs;
    const asked = ask(...Array.from({ length: 200 }, () => "192.0.2.1 1100"));
    for (let i = 0; i < 20; i++) {
      declare({ ...WEB, deny: [place("192.0.2.1", 1900 + i)] });
      // The server is of this process.
      await nextTurn();
    }
    expect(new Set(await asked)).toEqual(new Set(["web 192.0.2.1:1100"]));
    expect(manager.status().programs).toMatchObject([{ linkId: before?.linkId }]);
    expect(counters("web")).toEqual({ bound: 200 });
    declare();
    expect(manager.status().programs).toEqual([]);
    expect(await ask("192.0.2.1 1100")).toEqual(["own 192.0.2.1:1100"]);
  });

  it("go on refusing when the gateway is gone and they are closed, and are taken up by the next one", async () => {
    removeLeftoverBpffs();
    const bpffs = new TestBpffs();
    try {
      await serve("192.0.2.1:1100", "own");
      inside(() => manager.close());
      manager = inside(() => KernelManager.open({ pins: bpffs.directory }));
      declare({ ...WEB, onFailure: "closed" });
      expect(await ask("192.0.2.1 1100")).toEqual(["web 192.0.2.1:1100"]);
      const [before] = manager.status().programs;
      // As a kill does: nothing is detached, nobody renews, the sockets are closed.
      inside(() => manager.letGo());
      for (const each of open.splice(0, 2)) each.close();
      expect(await ask("192.0.2.1 1100")).toEqual(["error ECONNREFUSED"]);
      const servers = [await serve("127.0.0.1:18080", "web"), await serve("[::1]:18080", "web")];
      web = { ...web, sockets: servers.map(({ fd }) => fd) };
      manager = inside(() => KernelManager.open({ pins: bpffs.directory }));
      declare({ ...WEB, onFailure: "closed" });
      expect(manager.status().programs).toMatchObject([{ linkId: before?.linkId }]);
      expect(await ask("192.0.2.1 1100")).toEqual(["web 192.0.2.1:1100"]);
      inside(() => manager.close());
      expect(await ask("192.0.2.1 1100")).toEqual(["own 192.0.2.1:1100"]);
      manager = inside(() => KernelManager.open());
    } finally {
      bpffs.destroy();
    }
  });

  it("are refused, and nothing changes, when the listener has no socket or a prefix is none", () => {
    declare(WEB);
    const refused =
      (binding: BindingDeclaration, listener = web) =>
      (): void => {
        const kernel = { interfaces: [], steering: [], bindings: [binding] };
        inside(() => manager.prepare({ maps: [], kernel, listeners: [{ name: "web", ...listener }] }));
      };
    expect(refused(WEB, { addresses: [], sockets: [] })).toThrow(/listener web has no socket/);
    expect(refused({ ...WEB, match: [place("192.0.2.1/24", 1)] })).toThrow(
      /binding web: "192.0.2.1\/24": bits are set/,
    );
    const datagram = inside(() => socket(familyOf(parseAddress("127.0.0.1:0")), SOCK_DGRAM));
    bind(datagram, parseAddress("127.0.0.1:0"));
    close(datagram);
    expect(refused(WEB, { addresses: ["127.0.0.1:1"], sockets: [datagram] })).toThrow();
    expect(manager.status().facts).toEqual([
      "binding web: 192.0.2.0/24 ports 1000-1999; 2001:db8:2::/64 ports 1000-1999 to web",
    ]);
  });

  it("are shown beside what others put there, and leave that alone", async () => {
    const other = inside(() => KernelManager.open());
    try {
      const listeners = [{ name: "theirs", ...web }];
      const kernel = { interfaces: [], steering: [], bindings: [{ ...WEB, match: [place("192.0.2.9", 1000)] }] };
      inside(() => other.commit(other.prepare({ maps: [], kernel, listeners })));
      declare(WEB);
      expect(inside(() => manager.status()).foreign).toMatchObject([{ place: "netns sk_lookup", name: "bind_lookup" }]);
      expect(await ask("192.0.2.9 1000")).toEqual(["web 192.0.2.9:1000"]);
      expect(counters("web")).toEqual({});
    } finally {
      inside(() => other.close());
    }
  });
});
