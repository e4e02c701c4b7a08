/**
 * XDP attached the way the talk does it, and `ip link set dev … xdp` too: by a netlink message, RTM_SETLINK with IFLA_XDP.
 *
 *     node plugins/scripts/xdp-netlink/main.ts on eth1       attaches the packet counter, and prints what it counts
 *     node plugins/scripts/xdp-netlink/main.ts off eth1      takes off whatever is there
 *
 * Unlike a link, it outlives the process: what is attached so has to be taken off.
 */
import { bpf, netlink } from "penstock";

const [verb, name = ""] = process.argv.slice(2);
/** XDP_FLAGS_SKB_MODE. Source: include/uapi/linux/if_link.h. */
const SKB_MODE = 2;

const route = netlink.open();
const device = route.link(name);
if (device === null || (verb !== "on" && verb !== "off")) {
  const why = device === null ? `there is no device ${JSON.stringify(name)}` : "usage: node main.ts on|off DEVICE";
  process.stderr.write(`${why}\n`);
  process.exit(2);
}

if (verb === "off") {
  route.setXdp(device.index, { program: null, flags: SKB_MODE });
} else {
  const object = bpf.object(new URL("../../../bpf/obj/counter.o", import.meta.url).pathname).load({
    programs: ["counter"],
    globals: { counter_config: Buffer.concat([Buffer.alloc(4), Buffer.alloc(20, 0xff)]) },
  });
  route.setXdp(device.index, { program: object.program("counter").fd, flags: SKB_MODE });
}
const { programIds } = route.link(name)?.xdp ?? { programIds: [] };
console.log(`${name}: ${programIds.length === 0 ? "no XDP program" : `XDP program ${programIds.join(", ")}`}`);
route.close();
