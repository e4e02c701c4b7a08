/**
 * The talk's L4 load balancer: connections and datagrams to a service's address are spread over its endpoints in XDP. The
 * configuration is watched; endpoints are looked at every second, and who does not answer gets no new flows.
 *
 *     node plugins/scripts/l4-balancer/main.ts plugins/scripts/l4-balancer/config.yaml
 */
import { readFileSync, watch } from "node:fs";
import { connect } from "node:net";
import { basename, dirname } from "node:path";
import { bpf, netlink, YAML, type L4Service } from "penstock";

const [file = ""] = process.argv.slice(2);
if (file === "") {
  process.stderr.write("usage: node main.ts CONFIG.yaml\n");
  process.exit(2);
}

const balancer = bpf.services();
let services: readonly L4Service[] = [];

/** A mistake in the file changes nothing. */
function reload(): void {
  try {
    const next = YAML.parse(readFileSync(file, "utf8")) as readonly L4Service[];
    balancer.set(next);
    services = next;
    const names = next.map(({ name, endpoints }) => `${name} (${endpoints.length} endpoints)`);
    console.log(`in force: ${names.join(", ") || "nothing"}`);
  } catch (error) {
    process.stderr.write(`${file}: ${(error as Error).message}\n`);
  }
}

/** Whether somebody answers there. */
function check(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, timeout: 500 });
    const done = (healthy: boolean): void => {
      socket.destroy();
      resolve(healthy);
    };
    socket
      .on("connect", () => done(true))
      .on("timeout", () => done(false))
      .on("error", () => done(false));
  });
}

async function checkAll(): Promise<void> {
  for (const { name, protocol, endpoints } of services) {
    if (protocol !== "tcp") continue;
    for (const { address, port } of endpoints) {
      const endpoint = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
      const healthy = await check(address, port);
      if (balancer.setHealth(name, endpoint, healthy))
        console.log(`${name}: ${endpoint} is ${healthy ? "up" : "down"}`);
    }
  }
}

reload();
// Editors replace a file by another of its name: the folder is watched, not the file.
const watcher = watch(dirname(file), (_event, name) => {
  if (name === basename(file)) reload();
});
// Whose hardware address changes, or gets lost, is asked for it.
const following = netlink.follow(["neighbour", "route"], () => balancer.maintain());
const timer = setInterval(() => {
  balancer.maintain();
  void checkAll();
}, 1000);

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    clearInterval(timer);
    watcher.close();
    following.close();
    balancer.close();
  });
}
