/** The control process killed again and again, so that there is none for most of a while, under load: traffic goes on, and what was declared is there afterwards. */
import { startGateway } from "#test/support/gateway.ts";
import { commandLine, processTree } from "#test/bench/host/process-tree.ts";
import { SteadyClient } from "./steady-client.ts";

export interface Away {
  readonly seconds: number;
  readonly kills: number;
  readonly answered: number;
  readonly failures: readonly string[];
  /** The declaration and its revision are what they were. */
  readonly intact: boolean;
}

const LOOK_MS = 100;
const BACK_MS = 60_000;

export async function controlAway(seconds: number): Promise<Away> {
  const config = {
    listeners: [{ name: "web", address: "127.0.0.1:0", protocol: "http" }],
    upstreams: [{ name: "none", endpoints: [{ address: "127.0.0.1:1" }] }],
    tenants: [{ name: "ops", hosts: ["*"] }],
    routes: [
      {
        name: "all",
        tenant: "ops",
        filters: [{ builtin: "static-response", config: { status: 200, body: "on" } }],
        upstream: "none",
      },
    ],
  };
  const gateway = await startGateway({ config, workers: 1 });
  const clients = [true, false].map((kept) => new SteadyClient(gateway.port("web"), kept, 10));
  let kills = 0;
  try {
    const read = async () => {
      const { status, body, headers } = await gateway.admin("GET", "/v1/config");
      if (status !== 200) throw new Error(`the admin API answered ${status}: ${body}`);
      return `${headers.etag} ${body}`;
    };
    const before = await read();
    const until = Date.now() + seconds * 1000;
    while (Date.now() < until) {
      for (const pid of processTree(gateway.pid).filter((one) =>
        commandLine(one).includes("gateway/control/main.ts"),
      )) {
        process.kill(pid, "SIGKILL");
        kills++;
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    const intact = (await again(read)) === before;
    await Promise.all(clients.map((client) => client.stop()));
    const failures = clients.flatMap(({ losses }) => losses.map(({ why }) => why));
    return { seconds, kills, answered: clients.reduce((sum, one) => sum + one.answered, 0), failures, intact };
  } finally {
    await Promise.all(clients.map((client) => client.stop()));
    await gateway.stop();
  }
}

/** Until the control process is back. */
async function again<T>(read: () => Promise<T>): Promise<T> {
  const until = Date.now() + BACK_MS;
  for (;;) {
    try {
      return await read();
    } catch (error) {
      if (Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
}
