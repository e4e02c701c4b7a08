/**
 * What moving a stream from one TCP socket to another costs, in CPU time of the process that moves it, by the two ways there are:
 *
 *     node test/bench/micro/splice.ts [MIB]
 *
 * copied: recv and send through a buffer; spliced: splice(2) into a pipe and out of it. Blocking calls of equal size on both
 * sides, over loopback, with a process that writes and one that reads; so nothing but the calls is measured, no ring and no
 * loop. IORING_OP_SPLICE is not among them: the kernel gives each to a worker thread of its own (REQ_F_FORCE_ASYNC in
 * io_uring/splice.c), which costs a wake-up for each on top of what splice itself costs here.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { asFd, type Fd } from "#core/brands.ts";
import { parseAddress } from "#core/address.ts";
import { setBlocking } from "#sys/blocking.ts";
import { check, libc } from "#sys/libc.ts";
import { addressOf } from "#sys/memory.ts";
import { AF_INET, close, connect, recv, send, socket } from "#sys/socket.ts";

const MIB = 1 << 20;
const TOTAL_BYTES = Number(process.argv[2] ?? 512) * MIB;
const SIZES = [65_536, 262_144];
const ROUNDS = 3;
/** linux/splice.h, fcntl.h */
const SPLICE_F_MOVE = 1;
const F_SETPIPE_SZ = 1031;

const pipeCall = libc.func("int pipe(int *fds)");
const fcntlCall = libc.func("int fcntl(int fd, int command, int value)");
const spliceCall = libc.func(
  "int64_t splice(int from, int64_t *fromOffset, int to, int64_t *toOffset, size_t length, unsigned int flags)",
);

const WRITER = `require("net").createServer(s => { const b = Buffer.alloc(1 << 20, 120); const w = () => { while (s.write(b)); }; s.on("drain", w); s.on("error", () => {}); w(); }).listen(0, "127.0.0.1", function () { console.log(this.address().port); })`;
const READER = `require("net").createServer(s => { s.on("data", () => {}); s.on("error", () => {}); }).listen(0, "127.0.0.1", function () { console.log(this.address().port); })`;

async function peer(program: string): Promise<{ readonly port: number; end(): void }> {
  const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  const [text] = (await once(child.stdout, "data")) as [Buffer];
  return { port: Number(text.toString()), end: () => child.kill("SIGKILL") };
}

function dial(port: number): Fd {
  const fd = asFd(socket(AF_INET));
  setBlocking(fd, true);
  connect(fd, parseAddress(`127.0.0.1:${port}`));
  return fd;
}

/** Microseconds of CPU for a MiB. */
function cost(move: () => number): number {
  const before = process.cpuUsage();
  let moved = 0;
  while (moved < TOTAL_BYTES) moved += move();
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * MIB) / moved;
}

function copying(from: Fd, to: Fd, bytes: number): () => number {
  const buffer = new Uint8Array(new ArrayBuffer(bytes));
  const address = Number(addressOf(buffer));
  return () => {
    const got = recv(from, address, bytes);
    for (let sent = 0; sent < got;) sent += send(to, address + sent, got - sent);
    return got;
  };
}

function splicing(from: Fd, to: Fd, bytes: number): () => number {
  const ends = new Int32Array(2);
  check("pipe", pipeCall(ends) as number);
  const [out = -1, into = -1] = ends;
  check("fcntl F_SETPIPE_SZ", fcntlCall(into, F_SETPIPE_SZ, MIB) as number);
  return () => {
    const got = Number(spliceCall(from, null, into, null, bytes, SPLICE_F_MOVE));
    for (let sent = 0; sent < got;) sent += Number(spliceCall(out, null, to, null, got - sent, SPLICE_F_MOVE));
    return got;
  };
}

const [writer, reader] = await Promise.all([peer(WRITER), peer(READER)]);
try {
  for (const bytes of SIZES) {
    const best = { copied: Infinity, spliced: Infinity };
    for (let round = 0; round < ROUNDS; round++) {
      for (const [way, make] of [
        ["copied", copying],
        ["spliced", splicing],
      ] as const) {
        const [from, to] = [dial(writer.port), dial(reader.port)];
        best[way] = Math.min(best[way], cost(make(from, to, bytes)));
        close(from);
        close(to);
      }
    }
    const { copied, spliced } = best;
    process.stdout.write(
      `${bytes / 1024} KiB a call: copied ${copied.toFixed(0)} µs a MiB, spliced ${spliced.toFixed(0)} µs (${(spliced / copied).toFixed(2)} ×)\n`,
    );
  }
} finally {
  writer.end();
  reader.end();
}
