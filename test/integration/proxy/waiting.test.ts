/**
 * Plugins whose body hooks wait for an upstream, in the real exchange over real sockets: what is held up and for how long, what the client
 * and the endpoint see of it, and what is left of a guest when one of them goes meanwhile.
 */
import type net from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { startPlane, type TestPlane } from "#test/support/data-plane.ts";
import { RawClient } from "#test/support/raw-client.ts";
import { startUpstream, type RawUpstream } from "#test/support/raw-http.ts";
import {
  answered,
  bodyHook,
  EACH,
  HOLDS,
  JUDGES,
  SlowUpstream,
  waitingFilter,
  WHOLE,
} from "#test/support/waiting-plugins.ts";
import type { WasmFilter } from "#wasm/create-filter.ts";

const HEAD = "POST /a HTTP/1.1\r\nhost: a.example\r\n";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

describe.each(["io_uring", "epoll"] as const)("over %s", (io) => {
  const open: { stop?(): Promise<void>; close?(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0)) await (one.stop?.() ?? one.close?.());
  });

  interface Rig {
    readonly plane: TestPlane;
    readonly endpoint: RawUpstream;
    readonly services: SlowUpstream;
    readonly filter: WasmFilter;
    readonly client: RawClient;
    /** All guests are back, none waits, and nothing of the exchange is left. */
    settled(): Promise<void>;
  }

  async function rig(
    hooks: string,
    answer: (socket: net.Socket, all: string) => void = (socket, all) => {
      if (all.endsWith("0\r\n\r\n") || all.endsWith("whole")) socket.write(OK);
    },
    spec = {},
  ): Promise<Rig> {
    const endpoint = await startUpstream(answer);
    open.push(endpoint);
    const services = new SlowUpstream();
    const filter = await waitingFilter(hooks, services, spec);
    const plane = await startPlane({ io, endpoints: [endpoint.address], filters: [filter] });
    open.push(plane);
    const client = new RawClient(plane.port);
    const settled = async (): Promise<void> => {
      client.socket.destroy();
      await plane.settled();
      while (services.waiting > 0) await services.says(answered(200));
      expect(services.tenant.suspended.taken).toBe(0);
    };
    return { plane, endpoint, services, filter, client, settled };
  }

  it("keeps an upload back, head and all, until it has been looked at", async () => {
    const { endpoint, services, filter, client, settled } = await rig(`${HOLDS} ${WHOLE}`);
    client.send(`${HEAD}content-length: 8\r\n\r\nthe `);
    await expect.poll(() => filter.stats.calls).toBe(2);
    client.send("whole");
    await expect.poll(() => services.bodies).toEqual(["the whole".slice(0, 8)]);
    expect(endpoint.connections()).toBe(0);
    await services.says(answered(403));
    await client.until(({ received }) => received.endsWith("/no"));
    expect(client.received).toMatch(/^HTTP\/1\.1 403 /);
    expect(endpoint.connections()).toBe(0);
    await settled();
  });

  it("goes on with the next request of the connection behind one that has waited", async () => {
    const { endpoint, services, client, settled } = await rig(`${HOLDS} ${WHOLE}`);
    // Pipelined, so that nothing new wakes the connection.
    client.send(`${HEAD}content-length: 5\r\n\r\nwhole${HEAD}content-length: 5\r\n\r\nwhole`);
    for (const count of [1, 2]) {
      await expect.poll(() => services.waiting).toBe(1);
      await services.says(answered(200));
      await client.until(({ received }) => received.split("\r\n\r\nok").length === count + 1);
    }
    expect(endpoint.received.join("").split("POST /a ").length).toBe(3);
    await settled();
  });

  it("stops a client for as long as a hook waits, and lets all of its body through in order", async () => {
    // Only what begins with a word of its own is asked about.
    const code = `(if (i32.and (i32.gt_u (call $size) (i32.const 0)) (i32.eqz (global.get $calls)))
      (then (global.set $calls (i32.const 1)) (drop (call $ask)))) (i32.const 0)`;
    // More than the kernels hold of it.
    const body = Buffer.alloc(16_000_000);
    for (let at = 0; at < body.length; at += 4) body.writeUInt32BE(at, at);
    let headBytes = 0;
    const { endpoint, services, client, settled } = await rig(bodyHook(code), (socket, all) => {
      // Once: to look into all of it each time takes a second.
      if (headBytes === 0) headBytes = all.indexOf("\r\n\r\n") + 4;
      if (socket.bytesRead === headBytes + body.length) socket.write(OK);
    });
    client.send(`${HEAD}content-length: ${body.length}\r\n\r\n`);
    client.socket.write(body);
    await expect.poll(() => services.waiting).toBe(1);
    let before = -1;
    await expect
      .poll(() => {
        const still = client.socket.writableLength === before;
        before = client.socket.writableLength;
        return still;
      })
      .toBe(true);
    expect(client.socket.writableLength).toBeGreaterThan(0);
    expect((endpoint.received[0] ?? "").length).toBe(headBytes);
    await services.says(answered(200));
    await client.until(({ received }) => received.endsWith("ok"));
    const received = Buffer.from(endpoint.received[0] ?? "", "latin1");
    expect(received.subarray(received.indexOf("\r\n\r\n") + 4).equals(body)).toBe(true);
    await settled();
  });

  it("holds a response up in its middle, and cuts it off when the answer is no", async () => {
    const respond = (socket: net.Socket, all: string): void => {
      if (all.endsWith("\r\n\r\n")) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabcdef");
    };
    const { services, client, settled, filter } = await rig(bodyHook(JUDGES, "response"), respond);
    client.send("GET /a HTTP/1.1\r\nhost: a.example\r\n\r\n");
    await client.until(({ received }) => received.endsWith("\r\n\r\n"));
    await expect.poll(() => services.bodies).toEqual(["abcdef"]);
    await services.says(answered(200));
    await client.until(({ received }) => received.endsWith("abcdef"));
    await expect.poll(() => services.waiting).toBe(1);
    await services.says(answered(200));
    client.send("GET /a HTTP/1.1\r\nhost: a.example\r\n\r\n");
    await expect.poll(() => services.waiting).toBe(1);
    await services.says(answered(403));
    await client.untilEnd();
    expect(client.received.split("abcdef")).toHaveLength(2);
    await settled();
    expect(filter.stats.faults).toBe(0);
  });

  it("holds the end of a request up for the hook of the end, and its trailers with it", async () => {
    const hooks = `(func (export "on_request_end") (drop (call $ask)))`;
    const { endpoint, services, client, settled } = await rig(hooks, (socket, all) => {
      if (all.endsWith("\r\nx-sum: 6\r\n\r\n")) socket.write(OK);
    });
    client.send(`${HEAD}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 6\r\n\r\n`);
    await expect.poll(() => services.waiting).toBe(1);
    await expect.poll(() => endpoint.received[0] ?? "").toContain("abc");
    expect(endpoint.received[0]).not.toContain("\r\n0\r\n");
    await services.says(answered(200));
    await client.until(({ received }) => received.endsWith("ok"));
    await settled();
  });

  it("adds trailers once the hook of the end has its answer, behind those that came", async () => {
    // What its answer says, under the name "x-by".
    const adds = `(func (export "on_request_end") (drop (call $ask))
      (drop (call $add (i32.const 2) (call $name (i32.const 24) (i32.const 4)) (i32.const 4096) (call $fetched (i32.const 4096) (i32.const 64)))))`;
    const { endpoint, services, client, settled, filter } = await rig(adds, (socket, all) => {
      if (/\r\n0\r\n[^]*\r\n\r\n$/.test(all)) socket.write(OK);
    });
    for (const [at, came] of ["x-sum: 6\r\n", ""].entries()) {
      client.send(`${HEAD}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n${came}\r\n`);
      await expect.poll(() => services.waiting).toBe(1);
      await services.says(answered(200, "plugin"));
      await client.until(({ received }) => received.split("ok").length === at + 2);
      expect(endpoint.received.join("").endsWith(`3\r\nabc\r\n0\r\n${came}x-by: plugin\r\n\r\n`)).toBe(true);
    }
    await settled();
    expect(filter.stats.faults).toBe(0);
  });

  describe("while a body's hook waits", () => {
    it("a client that has sent everything and then breaks off ends it", async () => {
      const { plane, endpoint, services, filter, client } = await rig(`${HOLDS} ${WHOLE}`);
      client.send(`${HEAD}content-length: 5\r\n\r\nwhole`);
      await expect.poll(() => services.waiting).toBe(1);
      client.socket.resetAndDestroy();
      await expect.poll(() => filter.stats.abandoned).toBe(1);
      await plane.settled();
      await services.says(answered(200));
      expect([endpoint.connections(), services.tenant.suspended.taken, filter.stats.faults]).toEqual([0, 0, 0]);
    });

    it("an endpoint that breaks the response off ends it", async () => {
      const sockets: net.Socket[] = [];
      const respond = (socket: net.Socket): void => {
        sockets.push(socket);
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: 900000\r\n\r\nabc");
      };
      // The first piece's hook waits for nothing, so the response runs; the second's waits.
      const code = `(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (if (i32.eq (global.get $calls) (i32.const 1)) (then (return (i32.const 0)))) ${JUDGES}`;
      const { services, filter, client, settled } = await rig(bodyHook(code, "response"), respond);
      client.send("GET /a HTTP/1.1\r\nhost: a.example\r\n\r\n");
      await client.until(({ received }) => received.endsWith("abc"));
      sockets[0]?.write("def");
      await expect.poll(() => services.waiting).toBe(1);
      client.socket.resetAndDestroy();
      sockets[0]?.resetAndDestroy();
      await expect.poll(() => filter.stats.abandoned).toBe(1);
      await services.says(answered(200));
      await settled();
      expect(filter.stats.faults).toBe(0);
    });

    it("an endpoint that answers without waiting for the body ends it with the exchange", async () => {
      const sockets: net.Socket[] = [];
      const { services, filter, client, settled } = await rig(EACH, (socket) => void sockets.push(socket));
      client.send(`${HEAD}content-length: 6\r\n\r\nabc`);
      await expect.poll(() => services.waiting).toBe(1);
      await services.says(answered(200));
      // "abc" has reached the endpoint, which answers; "def" is still looked at.
      await expect.poll(() => sockets.length).toBeGreaterThan(0);
      client.send("def");
      await expect.poll(() => services.waiting).toBe(1);
      sockets[0]?.write(OK);
      await client.until(({ received }) => received.endsWith("ok"));
      await expect.poll(() => filter.stats.abandoned).toBe(1);
      await settled();
      expect(filter.stats.faults).toBe(0);
    });

    it("its deadline is answered by onFault", async () => {
      const limits = { fuel: 200_000, memoryBytes: 1 << 20, deadlineMs: 20 };
      const { endpoint, services, client, settled } = await rig(`${HOLDS} ${WHOLE}`, undefined, { limits });
      client.send(`${HEAD}content-length: 5\r\n\r\nwhole`);
      await client.until(({ received }) => received.includes("plugin"));
      expect(client.received).toMatch(/^HTTP\/1\.1 503 /);
      expect(endpoint.connections()).toBe(0);
      await services.says(answered(200));
      await settled();
    });
  });
});
