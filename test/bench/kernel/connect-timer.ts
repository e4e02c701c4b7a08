/** Times connect(2) to each address given, in turns, and prints their medians in microseconds. */
import { familyOf, parseAddress } from "#core/address.ts";
import { close, connect, resetOnClose, socket } from "#sys/socket.ts";
import { median } from "#test/bench/figures.ts";
import { setImmediate as turn } from "node:timers/promises";

const ROUNDS = 4000;
const WARM_UP = 200;

const targets = process.argv.slice(2).map(parseAddress);
const times: number[][] = targets.map(() => []);
for (let round = 0; round < WARM_UP + ROUNDS; round++) {
  for (const [i, address] of targets.entries()) {
    const fd = socket(familyOf(address));
    const start = process.hrtime.bigint();
    connect(fd, address);
    const ns = Number(process.hrtime.bigint() - start);
    if (round >= WARM_UP) times[i]?.push(ns / 1000);
    // Neither side is left in TIME_WAIT, of which there would soon be too many.
    resetOnClose(fd);
    close(fd);
  }
  // The listener is another process, which has to get its turn.
  if (round % 50 === 0) await turn();
}
process.stdout.write(`${times.map((each) => median(each)).join(" ")}\n`);
