/** The upstream of the bench: right answers for whatever a proxy sends, in whatever pieces. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Scope } from "#test/bench/host/scope.ts";
import { startUpstream } from "#test/bench/host/upstream.ts";

const hasCompiler = spawnSync("gcc", ["--version"]).error === undefined;

describe.skipIf(!hasCompiler)("upstream.c (skipped where there is no gcc)", () => {
  const scope = new Scope();
  let port = 0;

  beforeAll(async () => {
    const { address } = await startUpstream(scope, 0);
    port = Number(address.split(":")[1]);
  });

  afterAll(() => scope.close());

  /** Sends the pieces, then nothing; answers all that comes until the other side ends or is silent. */
  async function talk(pieces: readonly string[]): Promise<string> {
    const socket = connect(port, "127.0.0.1").setNoDelay();
    let answer = "";
    socket.setEncoding("latin1").on("data", (text: string) => (answer += text));
    const closed = once(socket, "close");
    for (const piece of pieces) {
      socket.write(piece);
      await sleep(20);
    }
    socket.end();
    await closed;
    return answer;
  }

  const ANSWER = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n${"0123456789".repeat(10)}`;
  const GET = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

  describe("answers", () => {
    it.each<[string, readonly string[], string]>([
      ["one request", [GET], ANSWER],
      ["a head in pieces", ["GE", "T / HTTP/1.1\r\nhost: a\r", "\n\r", "\n"], ANSWER],
      ["pipelined requests", [GET + GET + GET.slice(0, 9), GET.slice(9)], ANSWER.repeat(3)],
      ["a body, skipped", [`POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde${GET}`], ANSWER.repeat(2)],
      ["a body in pieces", ["PUT / HTTP/1.1\r\ncontent-length:5\r\n\r\nab", `cde${GET}`], ANSWER.repeat(2)],
      [
        "a body longer than the buffer",
        [`POST / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n${"x".repeat(70_000)}${GET}`],
        ANSWER.repeat(2),
      ],
    ])("%s", async (_, pieces, expected) => {
      expect(await talk(pieces)).toBe(expected);
    });
  });

  it("shows the head it received", async () => {
    const head = "GET /head HTTP/1.1\r\nx-checked: 1\r\n\r\n";
    expect(await talk([head])).toBe(`HTTP/1.1 200 OK\r\nContent-Length: ${head.length}\r\n\r\n${head}`);
  });

  it("keeps what a slow reader has no room for", async () => {
    const socket = connect(port, "127.0.0.1").pause();
    const count = 60_000;
    socket.write(GET.repeat(count));
    await sleep(300);
    let bytes = 0;
    const closed = once(socket, "close");
    socket.on("data", (chunk: Buffer) => (bytes += chunk.length)).resume();
    socket.end();
    await closed;
    expect(bytes).toBe(count * ANSWER.length);
  });

  it("refuses what it does not read", async () => {
    expect(await talk(["POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"])).toMatch(/^HTTP\/1\.1 501 /);
    // Exactly what fits: bytes left unread would reset the connection under the answer.
    expect(await talk(["GET / HTTP/1.1\r\na: ".padEnd(16_384, "x")])).toMatch(/^HTTP\/1\.1 431 /);
  });
});
