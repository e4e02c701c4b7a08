/** A script as users write it: everything through the package's name. Prints what it found. Run in a network namespace. */
import { bpf, CStruct, netlink } from "penstock";

const Config = CStruct({ ipv4: "uint8[4]", ipv6: "uint8[16]" });
const file = bpf.object("bpf/obj/counter.o");
const link = netlink.open();
const device = link.links().find(({ kind }) => kind === "veth");
if (device === undefined) throw new Error("no veth");
const seen: string[] = [];
const following = netlink.follow(["link"], (event) => seen.push(event.kind), { everyMs: 5 });
const object = file.load({ programs: ["counter"] });
const first = bpf.attach(object.program("counter"), { device: device.name, mode: "generic" });
const attached = link.link(device.index)?.xdp.programIds ?? [];
first.close();
const { fd } = object.program("counter");
link.setXdp(device.index, { program: fd, flags: 2 });
const byNetlink = link.link(device.index)?.xdp.programIds ?? [];
link.setXdp(device.index, { program: null, flags: 2 });
const left = link.link(device.index)?.xdp.programIds ?? [];
link.setLink(device.index, { mtu: 1400 });
const entries = object.map("counter_sources").entries();
setTimeout(() => {
  following.close();
  link.close();
  object.close();
  const ids = [attached.length, byNetlink.length, left.length];
  process.stdout.write(
    JSON.stringify({ programs: file.programs, ids, entries, size: Config.size, seen: seen.length > 0 }),
  );
}, 50);
