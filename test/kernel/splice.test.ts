/** Bytes of relays that a program moves from socket to socket: in order and once, whatever the network sends twice. */
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseAddress } from "#core/address.ts";
import type { Fd } from "#core/brands.ts";
import type { JoinEnd } from "#proxy/stream/sockmap.ts";
import { addressOf } from "#sys/memory.ts";
import { AF_INET, close, connect, recv, send, socket } from "#sys/socket.ts";
import { bytesReceived } from "#sys/tcp-info.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { SockmapRig } from "#test/support/sockmap-rig.ts";
import { startStreamPlane, type StreamPlane } from "#test/support/stream-plane.ts";
import { TcpSegments } from "#test/support/tcp-segments.ts";

async function until(met: () => boolean, what: () => string): Promise<void> {
  for (let i = 0; i < 300; i++) {
    if (met()) return;
    await sleep(10);
  }
  throw new Error(`never: ${what()}`);
}

describeKernel("splice", () => {
  describe("of two sockets", () => {
    let rig: SockmapRig;
    let server: net.Server;
    /** The other ends of `fds`. */
    let peers: net.Socket[] = [];
    const heard: string[] = [];
    const fds: Fd[] = [];

    beforeEach(async () => {
      rig = new SockmapRig();
      peers = [];
      heard.length = 0;
      server = net.createServer({ allowHalfOpen: true }, (peer) => {
        const i = peers.push(peer) - 1;
        heard[i] = "";
        peer.on("error", () => {}).on("data", (bytes) => (heard[i] += bytes.toString("latin1")));
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      for (let i = 0; i < 2; i++) {
        const fd = socket(AF_INET);
        fds.push(fd);
        connect(fd, parseAddress(`127.0.0.1:${(server.address() as AddressInfo).port}`));
        await until(
          () => peers.length > i,
          () => "a connection",
        );
      }
    });
    afterEach(() => {
      for (const fd of fds.splice(0)) close(fd);
      for (const peer of peers) peer.destroy();
      server.close();
      rig.close();
    });

    const write = (fd: Fd, text: string): void => {
      const bytes = Buffer.from(text);
      expect(send(fd, Number(addressOf(bytes)), bytes.length)).toBe(bytes.length);
    };
    const read = (fd: Fd): string => {
      const bytes = Buffer.alloc(100);
      return bytes.toString("latin1", 0, Math.max(recv(fd, Number(addressOf(bytes)), bytes.length), 0));
    };
    const end = (i: number, over: Partial<JoinEnd> = {}): JoinEnd => ({
      fd: fds[i] as number,
      begin: 0,
      written: 0,
      busy: false,
      ...over,
    });

    it("nothing overtakes what was on its way to the other when they were joined", async () => {
      const [from, to] = fds as [Fd, Fd];
      const joined = rig.sockmap.join(end(0), end(1, { written: 6, busy: true }));
      peers[0]?.write("second ");
      let came = "";
      await until(
        () => (came += read(from)) === "second ",
        () => came,
      );
      expect(rig.counts()).toMatchObject({ moved: 0, passed: 7 });
      expect(joined?.inOrder(0, 0, 0)).toBe(false);
      write(to, "first ");
      expect(joined?.inOrder(0, 0, 0)).toBe(true);
      write(to, came);
      joined?.empty(0, came.length);
      peers[0]?.write("third");
      await until(
        () => heard[1] === "first second third",
        () => heard[1] ?? "",
      );
      expect(rig.counts()).toMatchObject({ moved: 5, passed: 7 });
      joined?.leave();
      expect(rig.left()).toBe(0);
    });

    it("what comes from one goes by the process, and is not lost, when the other's peer has ended before", async () => {
      const [first, second] = fds as [Fd, Fd];
      peers[0]?.end();
      await until(
        () => bytesReceived(first) === 1,
        () => "an end",
      );
      const joined = rig.sockmap.join(end(0), end(1));
      peers[1]?.write("still here");
      let came = "";
      await until(
        () => (came += read(second)) === "still here",
        () => came,
      );
      expect(rig.counts()).toMatchObject({ moved: 0, passed: 10 });
      expect(joined?.whole(1, 10)).toBe(true);
      joined?.leave();
      expect(rig.left()).toBe(0);
    });
  });

  describe.each(["io_uring", "epoll"] as const)("over %s", (io) => {
    let rig: SockmapRig;
    let plane: StreamPlane;
    let upstream: net.Server;
    /** What the upstream was sent, of all its connections. */
    let heard = "";
    let connections: net.Socket[] = [];

    beforeEach(async () => {
      heard = "";
      connections = [];
      upstream = net.createServer((connection) => {
        connections.push(connection);
        connection.on("error", () => {}).on("data", (bytes) => (heard += bytes.toString("latin1")));
      });
      upstream.listen(0, "127.0.0.1");
      await once(upstream, "listening");
      rig = new SockmapRig();
      plane = await startStreamPlane({
        io,
        endpoints: [`127.0.0.1:${(upstream.address() as AddressInfo).port}`],
        listener: { protocol: "tcp", stream: { idleTimeoutMs: 60_000, sessionsMax: 0 }, sockmap: true },
        kernel: { sockmap: rig.sockmap },
      });
    });
    afterEach(async () => {
      await plane.stop();
      upstream.close();
      rig.close();
    });

    it("a segment that is sent again with more behind it arrives once", async () => {
      const fd = socket(AF_INET);
      try {
        connect(fd, parseAddress(`127.0.0.1:${plane.port}`));
        const first = Buffer.from("0123456789");
        await until(
          () => send(fd, Number(addressOf(first)), first.length) > 0,
          () => "a connection",
        );
        await until(
          () => heard === "0123456789",
          () => heard,
        );
        const segments = new TcpSegments(fd);
        const at = segments.next;
        segments.send(at - 5, "56789abcde");
        // Whole again; and out of order, with a gap that a longer one fills.
        segments.send(at - 10, "0123456789");
        segments.send(at + 10, "KLMNO");
        segments.send(at + 5, "FGHIJKL");
        segments.close();
        await until(
          () => heard.length >= 25,
          () => heard,
        );
        await sleep(50);
        expect(heard).toBe("0123456789abcdeFGHIJKLMNO");
        // 5 and 2 that overlap; what was there whole the kernel itself throws away.
        expect(rig.counts()).toMatchObject({ moved: 25, passed: 0, repeated: 7 });
        // Both sockets, and what each side says of them: whoever sweeps sees that they are there.
        expect(rig.left()).toBe(6);
        // The client's kernel knows nothing of what was sent in its name.
        for (const each of connections) each.resetAndDestroy();
      } finally {
        close(fd);
      }
      await plane.settled();
      expect(rig.left()).toBe(0);
    });

    it("an upstream that does not read gets no more than its share of the kernel's memory, and all of it in the end", async () => {
      upstream.removeAllListeners("connection");
      let reader: net.Socket | null = null;
      upstream.on("connection", (connection) => {
        reader = connection.on("error", () => {}).pause();
      });
      const client = net.connect(plane.port, "127.0.0.1");
      client.on("error", () => {});
      const total = 32 << 20;
      client.end(Buffer.alloc(total, "x"));
      await until(
        () => rig.counts().backlogs > 0 && reader !== null,
        () => "a slow reader noticed",
      );
      await sleep(200);
      // What is on its way, what the reader's socket holds, and segments of 64 KiB.
      expect(rig.counts().moved).toBeLessThan(16 << 20);
      expect(client.bytesWritten - client.writableLength).toBeLessThan(total);
      let got = 0;
      (reader as unknown as net.Socket).on("data", (bytes) => (got += bytes.length)).resume();
      await until(
        () => got === total,
        () => `${got} of ${total}`,
      );
      client.destroy();
      await plane.settled();
    }, 20_000);

    it("an upstream that can't be reached leaves nothing", async () => {
      plane.swap({ endpoints: ["127.0.0.1:1"] });
      const client = net.connect(plane.port, "127.0.0.1").on("error", () => {});
      await new Promise((resolve) => client.on("close", resolve));
      expect(rig.counts().moved).toBe(0);
      expect(rig.left()).toBe(0);
    });
  });
});
