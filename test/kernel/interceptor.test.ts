/** The port interceptor with real connections between namespaces; checksum offload is off on every device. */
import { once } from "node:events";
import net from "node:net";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { familyOf, formatAddress, parseAddress } from "#core/address.ts";
import { asFd } from "#core/brands.ts";
import { inNetworkNamespace } from "#sys/netns.ts";
import {
  accept4,
  bind,
  close,
  getsockname,
  listen,
  setsockoptInt,
  SO_REUSEADDR,
  socket,
  SOL_SOCKET,
} from "#sys/socket.ts";
import { attachTc } from "#bpf/kernel/tcx.ts";
import { DevicePlaces } from "#bpf/manager/device-places.ts";
import { KernelManager } from "#bpf/manager/manager.ts";
import type { NetworkLink } from "#bpf/netlink/links.ts";
import { Rtnetlink } from "#bpf/netlink/rtnetlink.ts";
import type { InterceptorDeclaration } from "#bpf/programs/interceptor/declaration.ts";
import { Interceptor, InterceptorLeases } from "#bpf/programs/interceptor/interceptor.ts";
import { wantedOf } from "#bpf/programs/interceptor/feature.ts";
import { Answering } from "#test/support/answering.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { connect, Namespace, removeLeftovers } from "#test/support/netns.ts";

const CONNECT = path.join(import.meta.dirname, "../support/connect-many.ts");
const LISTENER = { name: "steered", addresses: ["127.0.0.1:18000", "[::1]:18000"] };
const DECLARATION: InterceptorDeclaration = {
  name: "web",
  devices: [],
  ports: [80, 8080],
  listener: 0,
  leaseMs: 60_000,
};

describeKernel("port interceptor", () => {
  let client: Namespace;
  let gateway: Namespace;
  let beyond: Namespace;
  let leases: InterceptorLeases;
  let interceptor: Interceptor;
  let places: DevicePlaces;
  let servers: Answering[] = [];

  beforeAll(() => {
    removeLeftovers();
    client = new Namespace("icpt-c");
    gateway = new Namespace("icpt-g");
    beyond = new Namespace("icpt-b");
    connect(client, { device: "cl0", addresses: ["10.75.1.2/24", "fd00:75:1::2/64"] }, gateway, {
      device: "gw0",
      addresses: ["10.75.1.1/24", "fd00:75:1::1/64"],
    });
    connect(beyond, { device: "be0", addresses: ["10.75.2.2/24", "fd00:75:2::2/64"] }, gateway, {
      device: "gw1",
      addresses: ["10.75.2.1/24", "fd00:75:2::1/64"],
    });
    client.ip("route", "add", "10.75.2.0/24", "via", "10.75.1.1");
    client.ip("-6", "route", "add", "fd00:75:2::/64", "via", "fd00:75:1::1");
    beyond.ip("route", "add", "10.75.1.0/24", "via", "10.75.2.1");
    beyond.ip("-6", "route", "add", "fd00:75:1::/64", "via", "fd00:75:2::1");
    gateway.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1");
  });
  afterAll(() => {
    for (const each of [client, gateway, beyond]) each.destroy();
  });
  beforeEach(() => {
    leases = new InterceptorLeases();
    interceptor = new Interceptor(DECLARATION, LISTENER, leases);
    places = new DevicePlaces("ingress");
    interceptor.renew();
  });
  afterEach(() => {
    places.close();
    interceptor.close();
    leases.close();
    for (const each of servers) each.close();
    servers = [];
  });

  const inside = <T>(work: () => T): T => inNetworkNamespace(gateway.path, work);
  const serve = async (namespace: Namespace, address: string, label: string): Promise<void> => {
    servers.push(await Answering.at(namespace, address, label));
  };
  async function serveProxy(): Promise<void> {
    for (const address of LISTENER.addresses) await serve(gateway, address, "proxy");
  }

  function links(): NetworkLink[] {
    const netlink = new Rtnetlink();
    try {
      return netlink.links();
    } finally {
      netlink.close();
    }
  }

  function attach(declaration = DECLARATION): void {
    inside(() => places.change(wantedOf(declaration, links()), () => interceptor.program, null, []));
  }

  async function ask(...targets: string[]): Promise<string[]> {
    const script = `printf '%s\\n' ${targets.map((each) => `'${each}'`).join(" ")} | '${process.execPath}' '${CONNECT}' 1`;
    const child = client.spawn("sh", "-c", script);
    let printed = "";
    child.stdout?.on("data", (bytes: Buffer) => (printed += bytes.toString()));
    await once(child, "close");
    return printed.trim().split("\n");
  }

  it("gives a port to the listener, which knows where the client wanted to go", async () => {
    await serveProxy();
    attach();
    expect(places.all.map(({ device }) => device).toSorted()).toEqual(["gw0", "gw1"]);
    const targets = ["10.75.1.1 80", "10.75.1.1 8080", "10.75.2.1 80", "fd00:75:1::1 80", "fd00:75:2::1 8080"];
    expect(await ask(...targets)).toEqual([
      "proxy 10.75.1.1:80",
      "proxy 10.75.1.1:8080",
      "proxy 10.75.2.1:80",
      "proxy [fd00:75:1::1]:80",
      "proxy [fd00:75:2::1]:8080",
    ]);
    expect(interceptor.counters()).toEqual({ diverted: 5, leaseExpired: 0, noListener: 0, routed: 0, refused: 0 });
  });

  it("does the same behind clsact, which older kernels have", async () => {
    await serveProxy();
    const attachments = inside(() =>
      links()
        .filter(({ name }) => name.startsWith("gw"))
        .map(({ name, index }) => attachTc(interceptor.program, name, index, "ingress", "clsact")),
    );
    try {
      expect(attachments.map(({ kind, device }) => [kind, device])).toEqual([
        ["clsact", "gw0"],
        ["clsact", "gw1"],
      ]);
      expect(await ask("10.75.1.1 80", "fd00:75:2::1 8080")).toEqual([
        "proxy 10.75.1.1:80",
        "proxy [fd00:75:2::1]:8080",
      ]);
      expect(interceptor.counters()).toMatchObject({ diverted: 2, noListener: 0, refused: 0 });
    } finally {
      inside(() => {
        for (const each of attachments) each.close();
      });
    }
    expect(await ask("10.75.1.1 80")).toEqual(["error ECONNREFUSED"]);
  });

  it("leaves alone other ports, and what this host only routes", async () => {
    await serveProxy();
    await serve(gateway, "10.75.1.1:81", "service");
    await serve(beyond, "10.75.2.2:80", "beyond");
    await serve(beyond, "[fd00:75:2::2]:80", "beyond");
    attach();
    expect(await ask("10.75.1.1 81", "10.75.2.2 80", "fd00:75:2::2 80")).toEqual([
      "service 10.75.1.1:81",
      "beyond 10.75.2.2:80",
      "beyond [fd00:75:2::2]:80",
    ]);
    expect(interceptor.counters().diverted).toBe(0);
    expect(interceptor.counters().routed).toBeGreaterThan(2);
  });

  it("leaves connections that were there before where they are", async () => {
    await serveProxy();
    const address = parseAddress("10.75.1.1:80");
    const listening = inside(() => socket(familyOf(address)));
    setsockoptInt(listening, SOL_SOCKET, SO_REUSEADDR, 1);
    bind(listening, address);
    listen(listening);
    const child = client.spawn("sh", "-c", "(sleep 0.5; echo again) | socat - TCP:10.75.1.1:80");
    let accepted = -1;
    for (let i = 0; i < 100 && accepted < 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      accepted = accept4(listening);
    }
    expect(formatAddress(getsockname(asFd(accepted)))).toBe("10.75.1.1:80");
    attach();
    const connection = new net.Socket({ fd: accepted });
    const [bytes] = (await once(connection, "data")) as [Buffer];
    expect(bytes.toString()).toBe("again\n");
    connection.destroy();
    await once(child, "close");
    close(listening);
    expect(interceptor.counters().diverted).toBe(0);
  });

  it("black-holes nobody: without a lease, and without a listener, the port's own service is reached", async () => {
    await serve(gateway, "10.75.1.1:80", "service");
    await serve(gateway, "[fd00:75:1::1]:80", "service");
    attach();
    const direct = ["service 10.75.1.1:80", "service [fd00:75:1::1]:80"];
    expect(await ask("10.75.1.1 80", "fd00:75:1::1 80")).toEqual(direct);
    expect(interceptor.counters().noListener).toBeGreaterThan(0);
    await serveProxy();
    expect(await ask("10.75.1.1 80", "fd00:75:1::1 80")).toEqual(["proxy 10.75.1.1:80", "proxy [fd00:75:1::1]:80"]);
    leases.leases.release(interceptor.slot);
    expect(await ask("10.75.1.1 80", "fd00:75:1::1 80")).toEqual(direct);
    expect(interceptor.counters().leaseExpired).toBeGreaterThan(0);
  });

  it("follows devices that come and go, and its named devices only", async () => {
    const named: InterceptorDeclaration = { ...DECLARATION, devices: ["gw0", "late0"] };
    await serveProxy();
    attach(named);
    expect(places.all.map(({ device }) => device)).toEqual(["gw0"]);
    const late = new Namespace("icpt-l");
    try {
      connect(late, { device: "la0", addresses: ["10.75.3.2/24"] }, gateway, {
        device: "late0",
        addresses: ["10.75.3.1/24"],
      });
      expect(inside(() => places.follow(wantedOf(named, links()), () => interceptor.program))).toEqual([]);
      expect(places.all.map(({ device }) => device)).toEqual(["gw0", "late0"]);
      const child = late.spawn("socat", "-u", "TCP:10.75.3.1:80", "-");
      const [bytes] = (await once(child.stdout ?? child, "data")) as [Buffer];
      expect(bytes.toString()).toBe("proxy 10.75.3.1:80");
    } finally {
      late.destroy();
    }
    for (let i = 0; i < 50 && inside(links).some(({ name }) => name === "late0"); i++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    inside(() => places.follow(wantedOf(named, links()), () => interceptor.program));
    expect(places.all.map(({ device }) => device)).toEqual(["gw0"]);
  });

  it("is replaced behind its links, and undone as a whole", async () => {
    await serveProxy();
    attach();
    const before = places.all.map((place) => place.linkId());
    const next = new Interceptor({ ...DECLARATION, ports: [81] }, LISTENER, leases);
    next.renew();
    const undo: (() => void)[] = [];
    inside(() =>
      places.change(
        wantedOf(next.declaration, links()),
        () => next.program,
        () => interceptor.program,
        undo,
      ),
    );
    expect(places.all.map((place) => place.linkId())).toEqual(before);
    expect(await ask("10.75.1.1 81", "10.75.1.1 80")).toEqual(["proxy 10.75.1.1:81", "error ECONNREFUSED"]);
    for (const step of undo.toReversed()) step();
    expect(await ask("10.75.1.1 80", "10.75.1.1 81")).toEqual(["proxy 10.75.1.1:80", "error ECONNREFUSED"]);
    next.close();
  });

  it("as declared: attached as one change, follows devices, and everything of it goes with the declaration", async () => {
    await serveProxy();
    const manager = KernelManager.open();
    const late = new Namespace("icpt-f");
    const commit = (interceptors: readonly InterceptorDeclaration[]): void => {
      const kernel = { interfaces: [], steering: [], interceptors };
      inside(() => manager.commit(manager.prepare({ maps: [], kernel, listeners: [LISTENER] })));
    };
    const attachedTo = (): string[] => inside(() => manager.status()).programs.map((each) => each.attachedTo);
    try {
      commit([DECLARATION]);
      expect(manager.leaseMs()).toBe(DECLARATION.leaseMs);
      expect(attachedTo().toSorted()).toEqual(["tcx:gw0 ingress", "tcx:gw1 ingress"]);
      connect(late, { device: "la0", addresses: ["10.75.4.2/24"] }, gateway, {
        device: "late1",
        addresses: ["10.75.4.1/24"],
      });
      inside(() => manager.maintain());
      expect(attachedTo()).toContain("tcx:late1 ingress");
      expect(await ask("10.75.1.1 80", "fd00:75:1::1 8080")).toEqual([
        "proxy 10.75.1.1:80",
        "proxy [fd00:75:1::1]:8080",
      ]);
      commit([{ ...DECLARATION, devices: ["gw0"], ports: [80] }]);
      expect(attachedTo()).toEqual(["tcx:gw0 ingress"]);
      expect(await ask("10.75.1.1 80", "10.75.1.1 8080")).toEqual(["proxy 10.75.1.1:80", "error ECONNREFUSED"]);
      commit([]);
      expect(attachedTo()).toEqual([]);
      expect(await ask("10.75.1.1 80")).toEqual(["error ECONNREFUSED"]);
    } finally {
      manager.close();
      late.destroy();
    }
  });
});
