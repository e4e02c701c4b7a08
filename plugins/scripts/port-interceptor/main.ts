/**
 * The talk's port interceptor: connections to a port of this machine are handed to another local listener, on every device
 * there is and on those that come. The packets stay as they are: the listener is given the connection, and sees in its own
 * address where the client wanted to go.
 *
 *     node plugins/scripts/port-interceptor/main.ts 80 127.0.0.1:9000
 *
 * While it runs it renews a lease of three seconds; when it dies, connections go where they did before.
 */
import { uptime } from "node:os";
import { bpf, IP, netlink } from "penstock";

const [port = "", listener = ""] = process.argv.slice(2);
const [, host = "", listens = ""] = /^(.+):(\d+)$/.exec(listener) ?? [];
if (!/^\d+$/.test(port) || Number(port) < 1 || Number(port) > 65_535 || host === "") {
  process.stderr.write("usage: node main.ts PORT ADDRESS:PORT\n");
  process.exit(2);
}

const LEASE_SECONDS = 3;

/** struct listener: an address of 16 bytes, and a port in network order. */
function listenerOf({ bytes }: IP, number: number) {
  const view = Buffer.from(bytes);
  return {
    ip: { word: [0, 4, 8, 12].map((at) => view.readUInt32LE(at)) },
    port: ((number & 0xff) << 8) | (number >> 8),
  };
}

/** A bit for each port. */
const ports = Buffer.alloc(65_536 / 8);
ports.writeUInt8(1 << (Number(port) & 7), Number(port) >> 3);

const address = new IP(host.replace(/^\[(.*)\]$/, "$1"));
const where = listenerOf(address, Number(listens));
const object = bpf.object(new URL("../../../bpf/obj/interceptor.o", import.meta.url).pathname).load({
  globals: {
    interceptor_config: address.version === 4 ? { listener4: where, lease: 0 } : { listener6: where, lease: 0 },
    interceptor_ports: ports,
  },
});

// CLOCK_BOOTTIME in nanoseconds, written into memory that the program reads: renewing is no system call.
const deadlines = new BigUint64Array(object.rawMap("interceptor_leases").memory());
function renew(): void {
  Atomics.store(deadlines, 0, BigInt(Math.floor((uptime() + LEASE_SECONDS) * 1000)) * 1_000_000n);
}

const attached = new Map<string, ReturnType<typeof bpf.attach>>();
const route = netlink.open();

/** On every device with an address of its own; what has gone took its program along. */
function follow(): void {
  const names = new Set(route.links().map(({ name }) => name));
  for (const name of attached.keys()) if (!names.has(name)) attached.delete(name);
  for (const name of names) {
    if (name === "lo" || attached.has(name)) continue;
    const attachment = bpf.attach(object.program("interceptor"), { device: name, hook: "ingress" });
    attached.set(name, attachment);
    console.log(`port ${port} goes to ${listener} on ${attachment.place}`);
  }
}

renew();
const lease = setInterval(renew, 1000);
// First follow, then list: nothing that comes in between is missed.
const following = netlink.follow(["link"], follow);
follow();

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    clearInterval(lease);
    following.close();
    route.close();
    for (const attachment of attached.values()) attachment.close();
    object.close();
  });
}
