/**
 * Plugins that wait for an upstream in the hooks of streams, over real sockets: connections that are let in later, bytes held up in both
 * directions, datagrams that wait in order, and what is left of a guest when its stream goes meanwhile.
 */
import dgram from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { RawClient } from "#test/support/raw-client.ts";
import { startUpstream, type RawUpstream } from "#test/support/raw-http.ts";
import { startStreamPlane, type StreamPlane } from "#test/support/stream-plane.ts";
import { answered, JUDGES_STREAM, NO_ANSWER, SlowUpstream, waitingFilter } from "#test/support/waiting-plugins.ts";
import { streamFilterOf, type WasmFilter } from "#wasm/create-filter.ts";

const connection = (code: string): string => `(func (export "on_connection") (result i32) ${code})`;
const dataHook = (code: string): string =>
  `(func (export "on_data") (param $from i32) (param $last i32) (result i32) ${code})`;
/** Asks about every piece in which there is something. */
const EACH = dataHook(`(if (i32.eqz (call $size)) (then (return (i32.const 0)))) ${JUDGES_STREAM}`);
const ASKED = connection("(i32.ne (call $ask) (i32.const 200))");

describe.each(["io_uring", "epoll"] as const)("over %s", (io) => {
  const open: { stop?(): Promise<void>; close?(): unknown }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0).toReversed()) await (one.stop?.() ?? one.close?.());
  });

  interface Rig {
    readonly plane: StreamPlane;
    readonly services: SlowUpstream;
    readonly filter: WasmFilter;
    /** Nothing of a stream is left, and no guest waits. */
    settled(): Promise<void>;
  }

  async function rig(hooks: string, protocol: "tcp" | "udp", endpoint: string, spec = {}): Promise<Rig> {
    const services = new SlowUpstream();
    const filter = await waitingFilter(hooks, services, spec);
    const filters = [streamFilterOf(filter)];
    const plane = await startStreamPlane({ io, endpoints: [endpoint], listener: { protocol }, filters });
    open.push(plane);
    const settled = async (): Promise<void> => {
      await plane.settled();
      while (services.waiting > 0) await services.says(answered(200));
      expect(services.tenant.suspended.taken).toBe(0);
    };
    return { plane, services, filter, settled };
  }

  describe("TCP", () => {
    async function upstream(answer: Parameters<typeof startUpstream>[0] = () => {}): Promise<RawUpstream> {
      const made = await startUpstream(answer);
      open.push(made);
      return made;
    }

    function client(port: number): RawClient {
      const made = new RawClient(port);
      open.push({ close: () => made.socket.destroy() });
      return made;
    }

    it("is let in, or not, when the answer is there", async () => {
      const endpoint = await upstream((socket, all) => socket.write(`got ${all}`));
      const { plane, services, settled } = await rig(ASKED, "tcp", endpoint.address);
      const [first, second] = [client(plane.port).send("first"), client(plane.port).send("second")];
      await expect.poll(() => services.waiting).toBe(2);
      expect(endpoint.connections()).toBe(0);
      await services.says(answered(200));
      await services.says(answered(403));
      await expect.poll(() => [first.received, second.received].toSorted().at(-1)).toMatch(/^got (first|second)$/);
      const [passed, refused] = first.received === "" ? [second, first] : [first, second];
      await refused.until(({ closed }) => closed);
      expect([refused.received, endpoint.connections()]).toEqual(["", 1]);
      expect(plane.counters()['stream_outcomes{outcome="denied"}']).toBe(1);
      passed.socket.destroy();
      await settled();
    });

    it("lets each direction wait by itself, and all of it go on in order", async () => {
      const endpoint = await upstream();
      const { plane, services, settled } = await rig(EACH, "tcp", endpoint.address);
      const one = client(plane.port).send("abc");
      await expect.poll(() => services.bodies).toEqual(["abc"]);
      one.send("def").end();
      // The other direction's, which waits for itself.
      await expect.poll(() => endpoint.sockets.size).toBe(1);
      for (const socket of endpoint.sockets) socket.write("xyz");
      await expect.poll(() => services.bodies).toEqual(["abc", "xyz"]);
      expect([endpoint.received, one.received]).toEqual([[""], ""]);
      await services.says(answered(200));
      await expect.poll(() => endpoint.received).toEqual(["abc"]);
      await services.says(answered(200));
      await one.until(({ received }) => received === "xyz");
      await expect.poll(() => services.bodies).toEqual(["abc", "xyz", "def"]);
      await services.says(answered(200));
      await expect.poll(() => endpoint.received).toEqual(["abcdef"]);
      // The end came behind: the upstream ends its side, and the client is told.
      await one.until(({ ended }) => ended);
      await settled();
    });

    it("stops who sends for as long as a hook waits", async () => {
      const endpoint = await upstream();
      const first = `(if (global.get $calls) (then (return (i32.const 0))))
        (global.set $calls (i32.const 1)) (drop (call $ask)) (i32.const 0)`;
      const { plane, services, settled } = await rig(dataHook(first), "tcp", endpoint.address);
      const one = client(plane.port);
      const body = Buffer.alloc(16_000_000);
      for (let at = 0; at < body.length; at += 4) body.writeUInt32BE(at, at);
      one.socket.write(body);
      one.end();
      await expect.poll(() => services.waiting).toBe(1);
      let before = -1;
      await expect
        .poll(() => {
          const still = one.socket.writableLength === before;
          before = one.socket.writableLength;
          return still;
        })
        .toBe(true);
      expect(one.socket.writableLength).toBeGreaterThan(0);
      await services.says(answered(200));
      await one.until(({ ended }) => ended);
      expect(Buffer.from(endpoint.received[0] ?? "", "latin1").equals(body)).toBe(true);
      await settled();
    });

    it("ends when the answer is no, in the middle and at its end", async () => {
      const last = dataHook(
        "(if (i32.eqz (local.get $last)) (then (return (i32.const 0)))) (call $ask) (i32.ne (i32.const 200))",
      );
      for (const hooks of [EACH, last]) {
        const endpoint = await upstream();
        const { plane, services, settled } = await rig(hooks, "tcp", endpoint.address);
        const one = client(plane.port).send("abc").end();
        await expect.poll(() => services.waiting).toBe(1);
        await services.says(answered(403));
        await one.until(({ closed }) => closed);
        await settled();
      }
    });

    it("takes the guest along when its client goes", async () => {
      const endpoint = await upstream();
      // While it is asked about the connection the client is not read: that it has gone is seen when it has been let in.
      const asked = await rig(ASKED, "tcp", endpoint.address);
      const early = client(asked.plane.port);
      await once(early.socket, "connect");
      await expect.poll(() => asked.services.waiting).toBe(1);
      early.socket.resetAndDestroy();
      await asked.services.says(answered(200));
      await asked.settled();
      // In the middle of its bytes the endpoint tells.
      const each = await rig(
        `${EACH} (func (export "on_end") (call $log (i32.const 1) (i32.const 0) (i32.const 3)))`,
        "tcp",
        endpoint.address,
      );
      const one = client(each.plane.port).send("abc");
      await expect.poll(() => each.services.waiting).toBe(1);
      one.socket.resetAndDestroy();
      for (const socket of endpoint.sockets) socket.resetAndDestroy();
      await expect.poll(() => each.filter.stats.abandoned).toBe(1);
      await each.settled();
      expect(each.services.logs).toEqual(["info sample@1 api"]);
      expect(each.filter.stats.faults).toBe(0);
    });

    it("goes by onFault at the deadline", async () => {
      const limits = { fuel: 200_000, memoryBytes: 1 << 20, deadlineMs: 20 };
      for (const [onFault, passed] of [
        ["deny", ""],
        ["allow", "abc"],
      ] as const) {
        for (const hooks of [ASKED, EACH]) {
          const endpoint = await upstream();
          const { plane, filter, settled } = await rig(hooks, "tcp", endpoint.address, { limits, onFault });
          const one = client(plane.port).send("abc");
          await expect.poll(() => filter.stats.faultsByCause.deadline).toBe(1);
          if (passed === "") await one.until(({ closed }) => closed);
          else await expect.poll(() => endpoint.received).toEqual([passed]);
          one.socket.destroy();
          await settled();
        }
      }
    });
  });

  describe("UDP", () => {
    interface Peer {
      readonly socket: dgram.Socket;
      readonly got: string[];
    }

    async function echo(): Promise<Peer & { readonly address: string }> {
      const socket = dgram.createSocket("udp4");
      const got: string[] = [];
      socket.on("message", (message, from) => {
        got.push(message.toString());
        socket.send(`re ${message.toString()}`, from.port, from.address);
      });
      await new Promise<void>((resolve) => void socket.bind(0, "127.0.0.1", resolve));
      open.push({ close: () => void socket.close() });
      return { socket, got, address: `127.0.0.1:${socket.address().port}` };
    }

    async function client(port: number): Promise<Peer & { send(text: string): void }> {
      const socket = dgram.createSocket("udp4");
      const got: string[] = [];
      socket.on("message", (message) => got.push(message.toString()));
      await new Promise<void>((resolve) => void socket.connect(port, "127.0.0.1", resolve));
      open.push({ close: () => void socket.close() });
      return { socket, got, send: (text) => socket.send(text) };
    }

    it("waits with a session's first datagrams until it is let in, or refused", async () => {
      const { got, address } = await echo();
      const { plane, services } = await rig(ASKED, "udp", address);
      const one = await client(plane.port);
      for (let count = 0; count < 20; count++) one.send(String(count));
      await expect.poll(() => services.waiting).toBe(1);
      await expect.poll(() => plane.counters()["udp_datagrams_dropped"]).toBe(4);
      await services.says(answered(200));
      await expect.poll(() => got).toEqual(Array.from({ length: 16 }, (_, at) => String(at)));
      await expect.poll(() => one.got.length).toBe(16);
      const other = await client(plane.port);
      other.send("x");
      await expect.poll(() => services.waiting).toBe(1);
      await services.says(NO_ANSWER);
      await expect.poll(() => plane.counters()["udp_datagrams_dropped"]).toBe(5);
      // The next datagram asks again.
      other.send("y");
      await expect.poll(() => services.waiting).toBe(1);
      await services.says(answered(200));
      await expect.poll(() => other.got).toEqual(["re y"]);
    });

    it("holds datagrams back, in order, in both directions", async () => {
      const { got, address } = await echo();
      const { plane, services } = await rig(EACH, "udp", address);
      const one = await client(plane.port);
      one.send("a");
      await expect.poll(() => services.bodies).toEqual(["a"]);
      const later = Array.from({ length: 20 }, (_, at) => String(at));
      for (const text of later) one.send(text);
      await expect.poll(() => plane.counters()["udp_datagrams_received"]).toBe(21);
      expect([got, plane.counters()["udp_datagrams_dropped"]]).toEqual([[], 4]);
      // Each direction has one that waits, and the rest behind it.
      const kept = ["a", ...later.slice(0, 16)];
      while (one.got.length < kept.length) {
        await expect.poll(() => services.waiting > 0 || one.got.length === kept.length).toBe(true);
        if (services.waiting > 0) await services.says(answered(200));
      }
      expect([got, one.got]).toEqual([kept, kept.map((text) => `re ${text}`)]);
    });

    it("drops what the guest does not let go, and the session when it says so", async () => {
      const { got, address } = await echo();
      const code = `(if (local.get $from) (then (return (i32.const 0)))) (i32.sub (call $fetch) (i32.const 200))`;
      const { plane, services, filter } = await rig(dataHook(code), "udp", address);
      const one = await client(plane.port);
      one.send("dropped");
      await expect.poll(() => services.waiting).toBe(1);
      await services.says(answered(202));
      await expect.poll(() => plane.counters()["udp_datagrams_dropped"]).toBe(1);
      one.send("passes");
      await expect.poll(() => services.waiting).toBe(1);
      await services.says(answered(200));
      await expect.poll(() => one.got).toEqual(["re passes"]);
      one.send("ends");
      await expect.poll(() => services.waiting).toBe(1);
      await services.says(answered(201));
      await expect.poll(() => plane.counters()["udp_sessions_open"]).toBe(0);
      expect([got, filter.stats.faults]).toEqual([["passes"], 0]);
    });

    it("forgets who waits when the listener goes", async () => {
      const { got, address } = await echo();
      const { plane, services, filter } = await rig(ASKED, "udp", address);
      const one = await client(plane.port);
      one.send("a");
      await expect.poll(() => services.waiting).toBe(1);
      open.splice(open.indexOf(plane), 1);
      await plane.stop();
      expect(filter.stats.abandoned).toBe(1);
      await services.says(answered(200));
      expect([got, services.tenant.suspended.taken]).toEqual([[], 0]);
    });
  });
});
