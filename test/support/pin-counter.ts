/** Counts on a device, pins link and map, says so, and waits to be killed: `pin-counter.ts ROOT DEVICE`. */
import { PacketCounter } from "#bpf/programs/counter/counter.ts";
import { PinFolder } from "#bpf/kernel/pins.ts";

/** What it prints, as JSON: the kernel's ids. */
export interface PinReport {
  readonly map: number;
  readonly link: number;
  readonly program: number;
}

const [root = "", device = ""] = process.argv.slice(2);
const folder = new PinFolder(root, 1);
const counter = new PacketCounter();
const { link } = counter.attach(device, "native");
folder.pinMap("sources", counter.map);
folder.pinLink(device, link);
const report: PinReport = { map: counter.map.info.id, link: link.info().id, program: link.info().programId };
process.stdout.write(`${JSON.stringify(report)}\n`);
setInterval(() => {}, 60_000);
