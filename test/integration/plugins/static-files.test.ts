/** Files of a directory through the engine: what is served, what is not, and in which parts. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { execFileSync } from "node:child_process";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { StaticFilesConfig } from "#snapshot/builtin-filters.ts";
import { sleep } from "#test/support/data-plane.ts";
import { Clock } from "#test/unit/plugins/exchange.ts";
import { FileRoots } from "#worker/file-roots.ts";
import { get, serve, type AskOptions, type Got, type Served } from "./support.ts";

const CONFIG: StaticFilesConfig = {
  directory: "site",
  stripPrefix: "/",
  index: ["index.html"],
  missing: "404",
  hidden: false,
  types: { foo: "application/x-foo" },
};
const MODIFIED = new Date("2026-01-02T03:04:05Z");
const BIG = Buffer.from(Array.from({ length: 100_000 }, (_, i) => `${i} of the bytes of a file\n`).join(""));

describe.each(["io_uring", "epoll"] as const)("static-files over %s", (io) => {
  let folder = "";
  let served: Served | undefined;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "penstock-files-"));
    const site = join(folder, "site");
    mkdirSync(join(site, "docs/.git"), { recursive: true });
    mkdirSync(join(site, ".well-known"));
    writeFileSync(join(folder, "secret"), "not for you");
    for (const [name, text] of Object.entries({
      "index.html": "<p>home\n",
      "docs/index.html": "<p>docs\n",
      "docs/.git/config": "hidden",
      ".well-known/a": "known",
      "a b.txt": "a space",
      "x.foo": "foo",
      "ten.txt": "0123456789",
      "empty.css": "",
    }))
      writeFileSync(join(site, name), text);
    writeFileSync(join(site, "big.bin"), BIG);
    utimesSync(join(site, "ten.txt"), MODIFIED, MODIFIED);
    symlinkSync("ten.txt", join(site, "inside"));
    symlinkSync("../secret", join(site, "outside"));
    symlinkSync("/etc/passwd", join(site, "absolute"));
    execFileSync("mkfifo", [join(site, "pipe")]);
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function start(
    over: Partial<StaticFilesConfig> = {},
  ): Promise<(path: string, ask?: AskOptions) => Promise<Got>> {
    const clock = Object.assign(new Clock(), { files: new FileRoots({ site: join(folder, "site") }) });
    served = await serve(
      io,
      [{ name: "static-files", config: { ...CONFIG, ...over } }],
      (_, r) => r.end("upstream"),
      clock,
    );
    const { port } = served;
    return (path, ask) => get(port, path, ask);
  }

  afterEach(async () => {
    await served?.plane.settled();
    // Every file that was opened is closed; the directory stays open.
    const open = readdirSync("/proc/self/fd").flatMap((fd) => linkOf(fd));
    expect(open.filter((path) => path.startsWith(`${folder}/site/`))).toEqual([]);
    await served?.stop();
    served = undefined;
  });

  it.each<[string, number, string, string | undefined]>([
    ["/", 200, "<p>home\n", "text/html; charset=utf-8"],
    ["/index.html?a=1", 200, "<p>home\n", "text/html; charset=utf-8"],
    ["/docs/", 200, "<p>docs\n", "text/html; charset=utf-8"],
    ["/a%20b.txt", 200, "a space", "text/plain; charset=utf-8"],
    ["/x.foo", 200, "foo", "application/x-foo"],
    ["/empty.css", 200, "", "text/css; charset=utf-8"],
    ["/.well-known/a", 200, "known", "application/octet-stream"],
    ["/inside", 200, "0123456789", "application/octet-stream"],
    ["/outside", 404, "there is no such file\n", undefined],
    ["/absolute", 404, "there is no such file\n", undefined],
    ["/pipe", 404, "there is no such file\n", undefined],
    ["/docs/.git/config", 404, "there is no such file\n", undefined],
    ["/%2e%2e/secret", 400, "", undefined],
    ["/docs/..%2f..%2fsecret", 404, "there is no such file\n", undefined],
    ["/ten.txt%00.html", 400, "", undefined],
    ["/ten.txt/", 404, "there is no such file\n", undefined],
    ["/%ff", 404, "there is no such file\n", undefined],
    [`/${"a".repeat(300)}`, 404, "there is no such file\n", undefined],
  ])("%s: %i", async (path, status, body, type) => {
    const answer = await (await start())(path);
    expect(answer.status).toBe(status);
    if (body !== "") expect(answer.body.toString()).toBe(body);
    if (type !== undefined) expect(answer.headers["content-type"]).toBe(type);
  });

  it("says what it is, and the same to HEAD", async () => {
    const ask = await start({ cacheControl: "max-age=60" });
    const whole = await ask("/ten.txt");
    expect(whole.headers).toMatchObject({
      "content-length": "10",
      "last-modified": "Fri, 02 Jan 2026 03:04:05 GMT",
      "accept-ranges": "bytes",
      "cache-control": "max-age=60",
      "x-content-type-options": "nosniff",
    });
    const head = await ask("/ten.txt", { method: "HEAD" });
    expect([head.headers["content-length"], head.headers.etag]).toEqual(["10", whole.headers.etag]);
  });

  it("a directory without its slash is redirected, never to another host", async () => {
    const ask = await start();
    expect((await ask("/docs?x=1")).headers.location).toBe("/docs/?x=1");
    expect((await ask("//docs")).headers.location).toBe("/docs/");
  });

  it("conditions and ranges", async () => {
    const ask = await start();
    const { headers } = await ask("/ten.txt");
    const etag = String(headers.etag);
    const not = await ask("/ten.txt", { headers: { "if-none-match": etag } });
    expect([not.status, not.headers.etag, not.body.length]).toEqual([304, etag, 0]);
    expect((await ask("/ten.txt", { headers: { "if-match": '"x"' } })).status).toBe(412);
    const part = await ask("/ten.txt", { headers: { range: "bytes=2-4" } });
    expect([part.status, part.body.toString(), part.headers["content-range"]]).toEqual([206, "234", "bytes 2-4/10"]);
    const none = await ask("/ten.txt", { headers: { range: "bytes=20-" } });
    expect([none.status, none.headers["content-range"]]).toEqual([416, "bytes */10"]);
    const changed = await ask("/ten.txt", { headers: { range: "bytes=2-4", "if-range": '"x"' } });
    expect([changed.status, changed.body.toString()]).toEqual([200, "0123456789"]);
    const two = await ask("/ten.txt", { headers: { range: "bytes=0-1,-2" } });
    const boundary = /boundary=(.*)$/.exec(String(two.headers["content-type"]))?.[1];
    const piece = (range: string, text: string): string =>
      `\r\n--${boundary}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-range: bytes ${range}/10\r\n\r\n${text}`;
    expect(two.body.toString()).toBe(`${piece("0-1", "01")}${piece("8-9", "89")}\r\n--${boundary}--\r\n`);
    expect(two.headers["content-length"]).toBe(String(two.body.length));
  });

  it("a file of megabytes, whole and in part", async () => {
    const ask = await start();
    expect((await ask("/big.bin")).body.equals(BIG)).toBe(true);
    const part = await ask("/big.bin", { headers: { range: "bytes=100000-2000000" } });
    expect(part.body.equals(BIG.subarray(100_000, 2_000_001))).toBe(true);
  });

  it("a client that goes in the middle, and a file that shrinks", async () => {
    await start();
    const port = served?.port ?? 0;
    const socket = net.connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write("GET /big.bin HTTP/1.1\r\nhost: a\r\n\r\n");
    socket.pause();
    await sleep(100);
    socket.destroy();
    const shrinking = join(folder, "site/shrinking.bin");
    writeFileSync(shrinking, Buffer.alloc(30_000_000));
    const slow = net.connect(port, "127.0.0.1");
    slow.on("error", () => {});
    slow.write("GET /shrinking.bin HTTP/1.1\r\nhost: a\r\n\r\n");
    slow.pause();
    await sleep(100);
    truncateSync(shrinking, 0);
    let bytes = 0;
    slow.on("data", (chunk: Buffer) => (bytes += chunk.length));
    slow.resume();
    await new Promise((resolve) => slow.once("close", resolve));
    expect(bytes).toBeLessThan(30_000_000);
    rmSync(shrinking);
  });

  it("what is missing, and other methods", async () => {
    const ask = await start();
    const post = await ask("/ten.txt", { method: "POST" });
    expect([post.status, post.headers.allow]).toEqual([405, "GET, HEAD"]);
    await served?.stop();
    const through = await start({ missing: "upstream" });
    expect((await through("/none")).body.toString()).toBe("upstream");
    expect((await through("/ten.txt", { method: "POST" })).body.toString()).toBe("upstream");
    await served?.stop();
    const app = await start({ fallback: "index.html", stripPrefix: "/app" });
    expect((await app("/app/any/route")).body.toString()).toBe("<p>home\n");
    expect((await app("/app/ten.txt")).body.toString()).toBe("0123456789");
    expect((await app("/application")).status).toBe(404);
  });
});

function linkOf(fd: string): string[] {
  try {
    return [readlinkSync(`/proc/self/fd/${fd}`)];
  } catch {
    // The descriptor of the listing itself.
    return [];
  }
}
