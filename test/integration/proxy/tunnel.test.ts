/** After an upgrade, or a CONNECT: two connections joined, in all four orders of half-close, under back-pressure, and with data waiting. */
import { createHash, randomBytes } from "node:crypto";
import net from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { sleep, startPlane, type PlaneOptions, type TestPlane } from "#test/support/data-plane.ts";
import { testRoute } from "#test/support/snapshot.ts";
import { movings, SockmapRig } from "#test/support/sockmap-rig.ts";

const UPGRADE = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n";
const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: raw\r\n\r\n";
const CONNECT = "CONNECT raw.test:1 HTTP/1.1\r\nHost: raw.test:1\r\n\r\n";

/** How a tunnel begins: what the client sends, what the server answers when it has been asked, and the route. */
const BEGINNINGS = {
  upgrade: { request: UPGRADE, answer: SWITCH, route: testRoute() },
  tunnel: { request: CONNECT, answer: null, route: testRoute({ connect: "tunnel" }) },
  forward: { request: CONNECT, answer: "HTTP/1.1 200 OK\r\n\r\n", route: testRoute({ connect: "forward" }) },
} as const;
type Beginning = keyof typeof BEGINNINGS;

const open: (() => Promise<void>)[] = [];

let beginning: Beginning = "upgrade";

/** Moves what it can in the kernel; null: every byte goes through the process. */
let rig: SockmapRig | null = null;

afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

/** One end of a tunnel: what it received, and whether the other has ended. */
class End {
  readonly socket: net.Socket;
  readonly hash = createHash("sha256");
  bytes = 0;
  text = "";
  ended = false;
  closed = false;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on("data", (data: Buffer) => this.take(data));
    socket.on("end", () => (this.ended = true));
    socket.on("close", () => (this.closed = true));
    socket.on("error", () => socket.destroy());
  }

  take(data: Buffer): void {
    this.hash.update(data);
    this.bytes += data.length;
    if (this.text.length < 1000) this.text += data.toString("latin1");
  }
}

async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (done()) return;
    await sleep(5);
  }
  throw new Error(`waited in vain for ${String(done)}`);
}

interface Tunnel {
  readonly gateway: TestPlane;
  readonly client: End;
  readonly server: End;
}

interface Waiting {
  /** Sent by the client in one piece with its request. */
  readonly early?: Buffer | string;
  /** By the server with its 101. */
  readonly behind?: Buffer | string;
  /** Who has sent FIN by then. */
  readonly ended?: "client" | "server";
}

async function tunnel(io: PlaneOptions["io"], { early = "", behind = "", ended }: Waiting = {}): Promise<Tunnel> {
  let server: End | null = null;
  const { request, answer, route } = BEGINNINGS[beginning];
  const listener = net.createServer({ allowHalfOpen: true }, (socket) => {
    if (answer === null) {
      server = new End(socket);
      socket.write(behind);
      if (ended === "server") socket.end();
      return;
    }
    socket.once("readable", () => {
      const head = (socket.read() as Buffer | null) ?? Buffer.alloc(0);
      const at = head.indexOf("\r\n\r\n") + 4;
      socket.write(Buffer.concat([Buffer.from(answer), Buffer.from(behind)]));
      if (ended === "server") socket.end();
      server = new End(socket);
      if (at < head.length) server.take(head.subarray(at));
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", () => resolve()));
  const { port } = listener.address() as net.AddressInfo;
  const gateway = await startPlane({
    io,
    endpoints: [`127.0.0.1:${port}`],
    routes: [route],
    sockmap: rig !== null,
    kernel: { sockmap: rig?.sockmap ?? null },
  });
  const socket = net.connect({ port: gateway.port, host: "127.0.0.1", allowHalfOpen: true });
  open.push(async () => {
    socket.destroy();
    server?.socket.destroy();
    await gateway.stop();
    await new Promise((resolve) => listener.close(resolve));
  });
  socket.write(Buffer.concat([Buffer.from(request), Buffer.from(early)]));
  if (ended === "client") socket.end();
  const head = await new Promise<Buffer>((resolve) => socket.once("data", resolve));
  const client = new End(socket);
  const rest = head.subarray(head.indexOf("\r\n\r\n") + 4);
  if (rest.length > 0) client.take(rest);
  await until(() => server !== null);
  return { gateway, client, server: server as unknown as End };
}

function withRig(joined: boolean, by: Beginning): void {
  beforeAll(() => {
    beginning = by;
    rig = joined ? new SockmapRig() : null;
  });
  afterAll(() => {
    expect(rig?.left() ?? 0).toBe(0);
    rig?.close();
    rig = null;
  });
}

/** What waits when the tunnel begins, whatever it is begun by. */
function beginsWhole(io: PlaneOptions["io"]): void {
  it("carries what stood behind the two heads, first", async () => {
    const early = randomBytes(300_000);
    const one = await tunnel(io, { early, behind: "welcome" });
    await until(() => one.client.text === "welcome" && one.server.bytes === early.length);
    expect(one.server.hash.digest("hex")).toBe(createHash("sha256").update(early).digest("hex"));
    one.client.socket.end();
    one.server.socket.end();
    await one.gateway.settled();
  });

  it("carries what waits on both sides and what follows, in order and once", async () => {
    const [early, behind] = [randomBytes(3_000_000), randomBytes(3_000_000)];
    const one = await tunnel(io, { early, behind });
    const sent = { client: createHash("sha256").update(early), server: createHash("sha256").update(behind) };
    let total = early.length;
    let movedBefore = 0;
    // Without a pause at first, then a message for a message.
    for (let i = 0; i < 120; i++) {
      for (const name of ["client", "server"] as const) {
        const bytes = randomBytes((i * 997) % 20_000);
        sent[name].update(bytes);
        one[name].socket.write(bytes);
      }
      total += (i * 997) % 20_000;
      if (i >= 100) await until(() => one.client.bytes === total && one.server.bytes === total);
      if (i === 100) movedBefore = rig?.counts().moved ?? 0;
    }
    one.client.socket.end();
    one.server.socket.end();
    await until(() => one.client.ended && one.server.ended);
    expect(one.server.hash.digest("hex")).toBe(sent.client.digest("hex"));
    expect(one.client.hash.digest("hex")).toBe(sent.server.digest("hex"));
    await one.gateway.settled();
    // Of 367 460 bytes, most.
    if (rig !== null) expect(rig.counts().moved - movedBefore).toBeGreaterThan(200_000);
  });

  it.each(["client", "server"] as const)("the %s has ended before the switch: the other goes on", async (ended) => {
    const one = await tunnel(io, { early: "early", behind: "behind", ended });
    await until(() => one.client.text === "behind" && one.server.text === "early");
    const [gone, other] = ended === "client" ? [one.client, one.server] : [one.server, one.client];
    await until(() => other.ended);
    for (let i = 0; i < 20; i++) {
      other.socket.write("more");
      await until(() => gone.text.endsWith("more".repeat(i + 1)));
    }
    other.socket.end();
    await until(() => gone.ended && gone.closed && other.closed);
    await one.gateway.settled();
  });
}

const MOVINGS = movings("tunnels");

describe.each(MOVINGS)("tunnels over $io, joined: $joined", ({ io, joined }) => {
  withRig(joined, "upgrade");

  it.each([
    ["the client ends, then the server", ["client", "server"]],
    ["the server ends, then the client", ["server", "client"]],
  ] as const)("%s: each end is passed on by itself, and the other direction still carries", async (_, order) => {
    const one = await tunnel(io);
    const [first, second] = order.map((name) => one[name]) as [End, End];
    first.socket.end("last words");
    await until(() => second.ended);
    expect(second.text).toBe("last words");
    expect(first.ended).toBe(false);
    second.socket.write("still here");
    await until(() => first.text === "still here");
    expect(one.gateway.plane.connections).toBe(1);
    second.socket.end(", bye");
    await until(() => first.ended && first.closed && second.closed);
    expect(first.text).toBe("still here, bye");
    await one.gateway.settled();
    expect(one.gateway.plane.connections).toBe(0);
  });

  it.each(["client", "server"] as const)("both end at once, %s with much to deliver still", async (name) => {
    const one = await tunnel(io);
    const from = one[name];
    const to = name === "client" ? one.server : one.client;
    to.socket.pause();
    const body = randomBytes(12_000_000);
    from.socket.end(body);
    to.socket.end("done");
    await until(() => from.ended);
    await sleep(100);
    to.socket.resume();
    await until(() => to.ended);
    expect(to.bytes).toBe(body.length);
    expect(to.hash.digest("hex")).toBe(createHash("sha256").update(body).digest("hex"));
    await one.gateway.settled();
  });

  it("both end at once with much to deliver both ways", async () => {
    const one = await tunnel(io);
    const bodies = [randomBytes(12_000_000), randomBytes(12_000_000)] as const;
    one.client.socket.pause();
    one.server.socket.pause();
    one.client.socket.end(bodies[0]);
    one.server.socket.end(bodies[1]);
    await sleep(200);
    // One side drains long before the other.
    one.client.socket.resume();
    await sleep(200);
    one.server.socket.resume();
    await until(() => one.client.ended && one.server.ended);
    expect([one.server.bytes, one.client.bytes]).toEqual([bodies[0].length, bodies[1].length]);
    await one.gateway.settled();
  });

  it("stops reading from who sends faster than the other reads", async () => {
    const one = await tunnel(io);
    one.server.socket.pause();
    const resting = one.gateway.plane.counters()["buffers_free"] as number;
    const chunk = Buffer.alloc(1 << 20, 0x61);
    for (let i = 0; i < 40; i++) one.client.socket.write(chunk);
    await sleep(300);
    expect(resting - (one.gateway.plane.counters()["buffers_free"] as number)).toBeLessThan(600);
    one.server.socket.resume();
    await until(() => one.server.bytes === 40 * chunk.length);
    one.client.socket.end();
    one.server.socket.end();
    await one.gateway.settled();
  });

  beginsWhole(io);

  it("closes both when one breaks", async () => {
    const one = await tunnel(io);
    one.client.socket.resetAndDestroy();
    await until(() => one.server.closed || one.server.ended);
    one.server.socket.destroy();
    await one.gateway.settled();
  });
});

const CONNECTS = [
  ...MOVINGS.map((moving) => ({ ...moving, by: "tunnel" as const })),
  ...MOVINGS.filter(({ io }) => io === "epoll").map((moving) => ({ ...moving, by: "forward" as const })),
];

describe.each(CONNECTS)("CONNECT, $by, over $io, joined: $joined", ({ io, joined, by }) => {
  withRig(joined, by);
  beginsWhole(io);
});
