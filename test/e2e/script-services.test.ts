/** What the gateway does for a script that a confined worker can't: files followed and written, commands, names, its own reload and end. */
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { decodeDns, encodeDns } from "#pipeline/codecs/dns/message.ts";
import { startGateway, type Gateway } from "#test/support/gateway.ts";

const folder = mkdtempSync(join(tmpdir(), "penstock-services-"));
const at = (name: string): string => join(folder, name);
let gateway: Gateway;
let server: Server;
let names: Server;
let local: Server;

/** Says from where it is reached, and then all that it is told. */
const [WEB, COPIED, NAMED] = ["127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0"];

function scriptOf(version: string): string {
  const { port } = server.address() as AddressInfo;
  return `import { exit, Histogram, listen, Message, reload, watch } from "penstock"

let word = ""
watch("./word.txt", bytes => {
  const text = String(Buffer.from(bytes))
  if (text === "bad") throw new RangeError("no such word")
  word = text
})
const sizes = new Histogram("body_bytes", [10, 100])

listen("${WEB}", $ => $.demuxHTTP().to($ => $
  .handleMessageStart((msg, ctx) => { ctx.path = msg.head.path })
  .branch(
    ({ path }) => path === "/upper", $ => $
      .exec("tr a-z A-Z").replaceStream(data => new Message({ status: 200 }, data)),
    ({ path }) => path === "/fails", $ => $.exec("./fails.sh").replaceStream(data => new Message({ status: 200 }, data)),
    ({ path }) => path === "/absent", $ => $.exec("./absent.sh").replaceStream(() => new Message("never")),
    $ => $.branch(
    ({ path }) => path === "/hangs", $ => $.exec("sleep 1007"),
    $ => $.replaceMessage(msg => {
      const { path } = msg.head
      sizes.observe(msg.body.size)
      if (path === "/reload") reload()
      if (path === "/exit") exit()
      return new Message({ status: 200, headers: { "x-version": "${version}" } }, word)
    })))))

listen("${COPIED}", $ => $.tee("./copy.log").connect("127.0.0.1:${port}", { bind: "127.0.0.9" }))
listen("${NAMED}", $ => $.connect("echo.test:${port}"))
listen("unix:${at("edge.sock")}", $ => $.connect("unix:${at("app.sock")}"))
`;
}

/** Answers questions for A, over TCP, as the gateway asks them (RFC 1035 §4.2.2). */
function nameServer(known: Readonly<Record<string, string>>): Server {
  return createServer((socket) => {
    let all = Buffer.alloc(0);
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes: Buffer) => {
      all = Buffer.concat([all, bytes]);
      while (all.length >= 2 && all.length >= 2 + all.readUInt16BE(0)) {
        const query = decodeDns(all.subarray(2, 2 + all.readUInt16BE(0)));
        all = all.subarray(2 + all.readUInt16BE(0));
        if (typeof query === "string") throw new Error(query);
        const [{ name = "", type = "" } = {}] = query.questions;
        const data = type === "A" ? known[name] : undefined;
        const answers = data === undefined ? [] : [{ name, type, ttl: 60, data }];
        const answer = Buffer.from(encodeDns({ ...query, response: true, answers }));
        const length = Buffer.alloc(2);
        length.writeUInt16BE(answer.length);
        socket.write(Buffer.concat([length, answer]));
      }
    });
  });
}

beforeAll(async () => {
  server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.write(`${socket.remoteAddress} `);
    socket.pipe(socket);
  });
  local = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", (bytes) => socket.end(`${String(bytes)} by a path`));
  });
  await once(local.listen(at("app.sock")), "listening");
  names = nameServer({ "echo.test": "127.0.0.1" });
  await once(names.listen(0, "127.0.0.1"), "listening");
  await once(server.listen(0, "127.0.0.1"), "listening");
  writeFileSync(at("word.txt"), "first");
  writeFileSync(at("fails.sh"), "#!/bin/sh\necho half\necho this is why >&2\nexit 3\n");
  // Commands run as nobody.
  for (const path of [folder, at("fails.sh")]) chmodSync(path, 0o755);
  // So do workers.
  chmodSync(at("app.sock"), 0o777);
  writeFileSync(at("main.ts"), scriptOf("1"));
  gateway = await startGateway({
    workers: 2,
    config: { settings: { nameservers: [`127.0.0.1:${(names.address() as AddressInfo).port}`] } },
    args: ["--script", at("main.ts")],
    timeoutMs: 60_000,
  });
}, 90_000);

afterAll(async () => {
  await gateway.stop();
  for (const one of [server, names, local]) await new Promise<void>((resolve) => one.close(() => resolve()));
  rmSync(folder, { recursive: true, force: true });
});

const ask = (path: string, body?: string) =>
  gateway.request(`script ${WEB}`, path, body === undefined ? {} : { method: "POST", body });
const said = (text: string | RegExp): Promise<void> =>
  expect.poll(() => gateway.logs.join("\n"), { timeout: 20_000 }).toMatch(text);

/** What comes back for `text` and FIN. */
async function talk(listen: string, text: string): Promise<string> {
  const socket = connect(gateway.port(`script ${listen}`), listen.replace(/:.*/, ""));
  socket.end(text);
  let all = "";
  for await (const chunk of socket) all += String(chunk);
  return all;
}

test("a watched file: its content now and after each change, without a reload; what a handler throws then is logged", async () => {
  expect((await ask("/")).body).toBe("first");
  writeFileSync(at("word.txt.new"), "second");
  renameSync(at("word.txt.new"), at("word.txt"));
  await expect.poll(async () => (await ask("/")).body, { timeout: 20_000 }).toBe("second");
  writeFileSync(at("word.txt"), "bad");
  await said(/main\.ts:6:\d+: RangeError: no such word/);
  expect((await ask("/")).body).toBe("second");
  // A worker that begins anew would throw while it is loaded.
  writeFileSync(at("word.txt"), "third");
  await expect.poll(async () => (await ask("/")).body, { timeout: 20_000 }).toBe("third");
  expect(gateway.logs.filter((line) => line.includes("is in force") && line.includes("script"))).toHaveLength(1);
});

test("tee: a copy of all bytes at the end of a file; connect from an address", async () => {
  expect(await talk(COPIED, "some bytes")).toBe("127.0.0.9 some bytes");
  await expect.poll(() => readFileSync(at("copy.log"), "utf8"), { timeout: 20_000 }).toBe("some bytes");
  const long = "0123456789".repeat(300_000);
  expect((await talk(COPIED, long)).length).toBe(long.length + "127.0.0.9 ".length);
  await expect.poll(() => readFileSync(at("copy.log"), "utf8").length, { timeout: 20_000 }).toBe(long.length + 10);
});

test("a name, resolved by the gateway's own nameserver", async () => {
  expect(await talk(NAMED, "x")).toBe("127.0.0.1 x");
});

test("Unix sockets: from one to another", async () => {
  for (let i = 0; i < 4; i++) {
    const socket = connect(at("edge.sock"));
    socket.write(`${i}`);
    let all = "";
    for await (const chunk of socket) all += String(chunk);
    expect(all).toBe(`${i} by a path`);
  }
});

test("exec: what a command prints, as nobody; one that fails is a 500, with its reason in the log", async () => {
  const text = "some words ".repeat(20_000);
  const upper = await ask("/upper", text);
  expect([upper.status, upper.body]).toEqual([200, text.toUpperCase()]);
  expect((await ask("/fails", "x")).status).toBe(500);
  await said("exec ./fails.sh: exit code 3: this is why");
  expect((await ask("/absent", "x")).status).toBe(500);
  await said(/exec \.\/absent\.sh: spawn .*absent\.sh ENOENT/);
  expect((await ask("/upper", "again")).body).toBe("AGAIN");
});

/** Who runs `sleep 1007` for the gateway, by user. */
function sleepers(): (string | undefined)[] {
  const children = readFileSync(`/proc/${gateway.pid}/task/${gateway.pid}/children`, "utf8").trim().split(" ");
  const asleep = children.filter((pid) => readOf(pid, "cmdline").startsWith("sleep\u00001007"));
  return asleep.map((pid) => /^Uid:\t(\d+)/m.exec(readOf(pid, "status"))?.[1]);
}

/** Empty for a process that has ended. */
function readOf(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

test("exec: a command ends with its stream", async () => {
  const socket = connect(gateway.port(`script ${WEB}`), "127.0.0.1");
  socket.on("error", () => {});
  socket.write("GET /hangs HTTP/1.1\r\nhost: x\r\n\r\n");
  const user = process.getuid?.() === 0 ? 65534 : process.getuid?.();
  await expect.poll(sleepers, { timeout: 20_000 }).toEqual([String(user)]);
  socket.resetAndDestroy();
  await expect.poll(sleepers, { timeout: 20_000 }).toEqual([]);
});

test("a worker that dies takes its commands along; its successor has the files as they are now", async () => {
  const socket = connect(gateway.port(`script ${WEB}`), "127.0.0.1");
  socket.on("error", () => {});
  socket.write("GET /hangs HTTP/1.1\r\nhost: x\r\n\r\n");
  await expect.poll(sleepers, { timeout: 20_000 }).toHaveLength(1);
  const before = await gateway.workers();
  for (const pid of before) process.kill(pid, "SIGKILL");
  await expect.poll(sleepers, { timeout: 20_000 }).toEqual([]);
  socket.destroy();
  await expect.poll(async () => (await ask("/")).body, { timeout: 20_000 }).toBe("third");
  expect(await talk(COPIED, "after")).toBe("127.0.0.9 after");
  await expect.poll(() => readFileSync(at("copy.log"), "utf8").slice(-5), { timeout: 20_000 }).toBe("after");
});

test("figures of a script: a histogram is one", async () => {
  await ask("/", "0123456789ab");
  const { body } = await gateway.admin("GET", "/metrics");
  expect(body).toContain("# TYPE penstock_script_body_bytes histogram");
  expect(body).toMatch(/penstock_script_body_bytes_bucket\{le="100",worker="\d"\} [1-9]/);
  expect(body).toMatch(/penstock_script_body_bytes_bucket\{le="\+Inf",worker="\d"\} [1-9]/);
});

test("reload() has the script read again; what can't be written, or run, refuses it and changes nothing", async () => {
  for (const [from, to, why] of [
    ["./copy.log", "./nowhere/copy.log", "nowhere/copy.log: ENOENT"],
    ['tee("./copy.log")', 'tee("./copy" + ".log")', "the path is not written out"],
    ['watch("./word.txt"', 'watch("./missing.txt"', "missing.txt"],
    ['bind: "127.0.0.9"', 'bind: "here"', "an IPv4 address is four numbers"],
  ] as const) {
    writeFileSync(at("main.ts"), scriptOf("2").replace(from, to));
    await ask("/reload");
    await said(why);
    expect((await ask("/")).headers["x-version"]).toBe("1");
  }
  writeFileSync(at("main.ts"), scriptOf("2"));
  await ask("/reload");
  await expect.poll(async () => (await ask("/")).headers["x-version"], { timeout: 20_000 }).toBe("2");
  expect(await talk(COPIED, "more")).toBe("127.0.0.9 more");
});

test("exit() ends the gateway in order", async () => {
  expect((await ask("/exit")).status).toBe(200);
  await said("the script asks for exit");
  expect(await gateway.stop()).toBe(0);
});
