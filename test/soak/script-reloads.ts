/** A script reloaded again and again under load, every third time with one that can't be taken: nobody loses a request. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { SteadyClient } from "./steady-client.ts";

export interface Reloaded {
  readonly answered: number;
  /** Scripts that came into force, and that were refused as they should be. */
  readonly reloads: number;
  readonly refusals: number;
  readonly lost: readonly string[];
}

const KEPT = 12;
const NEW = 4;
const SAID_MS = 60_000;

const script = (upstream: number, version: number, more = ""): string => `import { listen } from "penstock"
${more}
listen("127.0.0.1:0", $ => $
  .demuxHTTP().to($ => $
    .muxHTTP(() => "up").to($ => $.connect("127.0.0.1:${upstream}"))
    .handleMessageStart(msg => { msg.head.headers["x-version"] = "${version}" })))
`;

export async function scriptReloads(count: number): Promise<Reloaded> {
  const folder = mkdtempSync(join(tmpdir(), "penstock-reloads-"));
  const file = join(folder, "script.ts");
  const server = createServer((_, response) => response.end("ok\n"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  writeFileSync(file, script(port, 0));
  const gateway = await startGateway({ workers: 2, args: ["--script", file], timeoutMs: SAID_MS });
  const at = gateway.port("script 127.0.0.1:0");
  const clients = [
    ...Array.from({ length: KEPT }, () => new SteadyClient(at, true)),
    ...Array.from({ length: NEW }, () => new SteadyClient(at, false, 5)),
  ];
  let [reloads, refusals] = [0, 0];
  try {
    for (let version = 1; reloads < count; version++) {
      const bad = version % 3 === 0;
      await reload(gateway, file, script(port, version, bad ? 'throw new Error("not this one")' : ""), bad);
      if (bad) refusals++;
      else reloads++;
    }
  } finally {
    await Promise.all(clients.map((client) => client.stop()));
    await gateway.stop();
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true, force: true });
  }
  return {
    answered: clients.reduce((sum, client) => sum + client.answered, 0),
    reloads,
    refusals,
    lost: clients.flatMap(({ losses }) => losses.map(({ port: own, why }) => `${own}: ${why}`)),
  };
}

async function reload(gateway: Gateway, file: string, text: string, bad: boolean): Promise<void> {
  const from = gateway.logs.length;
  const expected = bad ? "was not taken" : "is in force";
  writeFileSync(file, text);
  process.kill(gateway.pid, "SIGHUP");
  for (const until = Date.now() + SAID_MS; Date.now() < until; await sleep(5)) {
    if (gateway.logs.slice(from).some((line) => line.includes(`script`) && line.includes(expected))) return;
  }
  throw new Error(`never said "${expected}": ${gateway.logs.slice(from).join("\n")}`);
}
