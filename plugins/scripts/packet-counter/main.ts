/**
 * The talk's packet counter: packets and bytes by source, counted where they arrive, printed every second.
 *
 *     node plugins/scripts/packet-counter/main.ts eth1 [24]
 *
 * The second argument: how many bits of an IPv4 source count; 32 unless given.
 */
import { bpf, IP } from "penstock";

const [device = "", bits = "32"] = process.argv.slice(2);
if (device === "" || !/^\d+$/.test(bits) || Number(bits) > 32) {
  process.stderr.write("usage: node main.ts DEVICE [BITS]\n");
  process.exit(2);
}

const object = bpf.object(new URL("../../../bpf/obj/counter.o", import.meta.url).pathname).load({
  programs: ["counter"],
  // struct counter_config: by source, an IPv4 mask, an IPv6 mask.
  globals: { counter_config: Buffer.concat([Buffer.alloc(4), maskOf(Number(bits)), Buffer.alloc(16, 0xff)]) },
});
const sources = object.map("counter_sources");
const attachment = bpf.attach(object.program("counter"), { device });
console.log(`counting on ${attachment.place}`);

interface Traffic {
  readonly packets: bigint;
  readonly bytes: bigint;
}

const timer = setInterval(() => {
  const rows = sources.entries().map(([key, perCpu]) => {
    // Each CPU counts for itself, so that none loses another's update.
    const all = perCpu as unknown as readonly Traffic[];
    const packets = all.reduce((sum, one) => sum + one.packets, 0n);
    const bytes = all.reduce((sum, one) => sum + one.bytes, 0n);
    return { source: addressOf(key), packets, bytes };
  });
  for (const { source, packets, bytes } of rows.toSorted((a, b) => Number(b.packets - a.packets)).slice(0, 10)) {
    console.log(`${source.padEnd(40)} ${String(packets).padStart(10)} packets ${String(bytes).padStart(12)} bytes`);
  }
}, 1000);

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    clearInterval(timer);
    attachment.close();
    object.close();
  });
}

function maskOf(width: number): Buffer {
  const mask = Buffer.alloc(4);
  mask.writeUInt32BE(width === 0 ? 0 : (0xffff_ffff << (32 - width)) >>> 0);
  return mask;
}

/** struct ip_address: four words that hold 16 bytes in network order. */
function addressOf(key: unknown): string {
  const bytes = Buffer.alloc(16);
  (key as { readonly word: readonly number[] }).word.forEach((word, i) => bytes.writeUInt32LE(word, i * 4));
  return String(new IP(bytes));
}
