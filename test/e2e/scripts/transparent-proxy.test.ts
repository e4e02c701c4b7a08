/** plugins/scripts/transparent-proxy as it stands: clients in a cgroup know nothing of it, and it prints what they say. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect, createServer as createTcpServer, type AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { removeLeftoverCgroups, TestCgroup } from "#test/support/cgroup.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { startScript, type ScriptGateway } from "#test/support/script-gateway.ts";

/** Prints what a server says by itself. */
const READ = `require("node:net").connect(process.argv[1], "127.0.0.1").pipe(process.stdout)`;

describeKernel("the transparent proxy's script", () => {
  let cgroup: TestCgroup;
  let script: ScriptGateway;
  let [port, wordy] = [0, 0];
  const servers: { close(done: () => void): void }[] = [];
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    request.resume().on("end", () => response.writeHead(request.url === "/no" ? 404 : 200).end(`from ${port}\n`));
  };

  beforeAll(async () => {
    removeLeftoverCgroups();
    cgroup = new TestCgroup("transparent");
    const four: Server = createServer(answer);
    await new Promise<void>((resolve) => four.listen(0, "127.0.0.1", resolve));
    ({ port } = four.address() as AddressInfo);
    const six = createServer(answer);
    await new Promise<void>((resolve) => six.listen(port, "::1", resolve));
    // Says the first word, and is no HTTP.
    const other = createTcpServer((socket) => socket.end("220 ready\r\n"));
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    ({ port: wordy } = other.address() as AddressInfo);
    servers.push(four, six, other);
    script = await startScript("transparent-proxy", {
      "127.0.0.1:18000": "127.0.0.1:0",
      "/sys/fs/cgroup/unified/apps": cgroup.directory,
      "[80, 8080]": `[${port}, ${wordy}]`,
    });
  }, 90_000);

  afterAll(async () => {
    await script.stop();
    await cgroup.destroy();
    for (const server of servers) await new Promise<void>((resolve) => server.close(resolve));
  });

  const curl = async (...args: readonly string[]): Promise<string> =>
    (await cgroup.run("curl", "--silent", "--max-time", "20", ...args)).stdout;
  const said = (line: string): Promise<void> =>
    expect.poll(() => script.gateway.logs, { timeout: 20_000 }).toContain(line);

  it("takes clients to where they wanted to go, IPv4 and IPv6, and prints requests and responses", async () => {
    for (const host of ["127.0.0.1", "[::1]"]) {
      expect(await curl("--data", "x", `http://${host}:${port}/a?b`, `http://${host}:${port}/no`)).toBe(
        `from ${port}\n`.repeat(2),
      );
      await said(`${host}:${port} POST ${host}:${port}/a?b`);
      await said(`${host}:${port} POST 200`);
      await said(`${host}:${port} POST 404`);
    }
    expect(await curl("--head", `http://127.0.0.1:${port}/`, `http://127.0.0.1:${port}/no`)).toContain("404");
    await said(`127.0.0.1:${port} HEAD 404`);
  });

  it("passes on what is no HTTP, and its taps hold up nothing", async () => {
    const { stdout } = await cgroup.run(process.execPath, "-e", READ, String(wordy));
    expect(stdout).toBe("220 ready\r\n");
  });

  it("leaves others alone, and does not go round in circles", async () => {
    const from = script.gateway.logs.length;
    expect(await (await fetch(`http://127.0.0.1:${port}/outside`)).text()).toBe(`from ${port}\n`);
    const itself = connect(script.port(), "127.0.0.1");
    itself.on("error", () => {});
    const closed = new Promise((resolve) => itself.once("close", resolve));
    itself.write("GET / HTTP/1.1\r\n\r\n");
    await closed;
    expect(script.gateway.logs.slice(from).filter((line) => line.includes("/outside"))).toEqual([]);
  });

  it("goes on through an upgrade: each client is taken to where it wanted to go", async () => {
    let upgraded = false;
    const upgrading = script.gateway.upgrade().then(() => (upgraded = true));
    const answers = new Set<string>();
    while (!upgraded) answers.add(await curl(`http://127.0.0.1:${port}/during`));
    await upgrading;
    const from = script.gateway.logs.length;
    answers.add(await curl(`http://127.0.0.1:${port}/after`));
    expect([...answers]).toEqual([`from ${port}\n`]);
    await expect.poll(() => script.gateway.logs.slice(from).join("\n"), { timeout: 20_000 }).toContain("/after");
  });

  it("cuts nobody off when it is killed", async () => {
    expect(script.gateway.logs.join("\n")).toContain(`the script steers ${cgroup.directory}: ports ${port}, ${wordy}`);
    await script.gateway.kill();
    expect(await curl(`http://127.0.0.1:${port}/`)).toBe(`from ${port}\n`);
  });
});
