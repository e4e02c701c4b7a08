/**
 * A program that is not the gateway and asks, as any transparent proxy does, for SO_ORIGINAL_DST: listens on
 * `ADDRESS`, prints its port, then for each connection where it was meant to go.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { asFd } from "#core/brands.ts";
import { familyOf, formatAddress, parseAddress, portOf } from "#core/address.ts";
import { accept4, bind, close, getsockname, listen, originalDestination, socket } from "#sys/socket.ts";

const address = parseAddress(process.argv[2] ?? "");
const listener = socket(familyOf(address));
bind(listener, address);
listen(listener);
process.stdout.write(`${portOf(getsockname(listener))}\n`);
for (;;) {
  const fd = accept4(listener);
  if (fd < 0) {
    await sleep(5);
    continue;
  }
  const original = originalDestination(asFd(fd), familyOf(address));
  process.stdout.write(`${original === null ? "none" : formatAddress(original)}\n`);
  close(fd);
}
