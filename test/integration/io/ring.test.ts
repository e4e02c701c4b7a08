/** The two rings by themselves, made so small that a turn fills them. */
import { afterEach, expect, test } from "vitest";
import { asFd } from "#core/brands.ts";
import { EBADF } from "#core/errno.ts";
import { OP_CLOSE, Ring } from "#io/uring/ring.ts";
import { close } from "#sys/socket.ts";

const COUNT = 2000;
/** Nobody's: closing it completes at once, with an error. */
const NO_FD = 0x3fff_fff0;

let ring: Ring | null = null;
afterEach(() => {
  if (ring !== null) close(asFd(ring.fd));
  ring?.dispose();
  ring = null;
});

function available(): boolean {
  try {
    ring = new Ring(8, 16);
    return true;
  } catch {
    return false;
  }
}

/** Reads what has come, and gives it back. */
function reap(from: Ring, into: Map<number, number>): void {
  let head = from.completionHead;
  const tail = from.completionTail;
  while (head !== tail) {
    const at = from.cqes + ((head & from.cqMask) << 2);
    head = (head + 1) | 0;
    into.set(from.words[at] as number, from.words[at + 2] as number);
    from.passed = head;
  }
  from.consume(head);
}

test.skipIf(process.env["PENSTOCK_IO"] === "epoll")(
  "a queue that is full again and again within a turn, while completions overflow theirs: every entry is answered once",
  ({ skip }) => {
    if (!available() || ring === null) {
      skip("io_uring is not allowed here");
      return;
    }
    ring.enable();
    for (let i = 0; i < COUNT; i++) ring.prepare(OP_CLOSE, NO_FD, i, 0);
    const answers = new Map<number, number>();
    for (let turns = 0; answers.size < COUNT && turns < 10 * COUNT; turns++) {
      ring.enter(0);
      reap(ring, answers);
    }
    expect(answers.size).toBe(COUNT);
    expect(new Set(answers.values())).toEqual(new Set([-EBADF]));
  },
);
