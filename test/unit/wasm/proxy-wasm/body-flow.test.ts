/** A body past a guest that is asked about each piece: passed on, held, changed, waited for, let go without a guest. */
import { describe, expect, it } from "vitest";
import { internName } from "#http/names.ts";
import type { Head } from "#http/head.ts";
import { newTrailers } from "#http/trailers.ts";
import type { BodyLink } from "#pipeline/body.ts";
import { TestMemory } from "#test/support/http-memory.ts";
import { BodyFlow, type FlowOwner } from "#wasm/proxy-wasm/body-flow.ts";
import { Direction, HEAD_PASSED, HEAD_PAUSED, type HeadState } from "#wasm/proxy-wasm/contexts.ts";

const MEMORY = new Uint8Array(64 * 1024);

class FakeLink implements BodyLink {
  readonly memory = MEMORY;
  full = false;
  paused = false;
  ended = false;
  failure = 0;
  sent = "";
  /** Pieces that came without a copy. */
  regions = 0;
  trailers: Head | null = null;
  makeTrailers(): Head {
    return (this.trailers ??= newTrailers(new TestMemory()));
  }
  data(_buffer: number, start: number, end: number): void {
    this.regions++;
    this.sent += Buffer.from(MEMORY.subarray(start, end)).toString();
  }
  write(bytes: Uint8Array): void {
    this.sent += Buffer.from(bytes).toString();
  }
  end(): void {
    this.ended = true;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  retain(): void {}
  release(): void {}
  fail(status: number): void {
    this.failure = status;
  }
}

interface Guest {
  /** True: CONTINUE. */
  seen: (length: number, last: boolean, flow: BodyFlow) => boolean;
  readonly asked: string[];
  released: number;
  takesLength: boolean;
}

function flowOf(head: HeadState, seen: Guest["seen"]): { flow: BodyFlow; link: FakeLink; guest: Guest } {
  const direction = new Direction();
  direction.head = head;
  const guest: Guest = { seen, asked: [], released: 0, takesLength: true };
  const owner: FlowOwner = {
    bodySeen: (flow, length, last) => {
      guest.asked.push(`${length}${last ? " last" : ""}`);
      return guest.seen(length, last, flow);
    },
    trailersSeen: (flow, trailers) => {
      guest.asked.push(`trailers ${trailers.fieldCount}`);
      return guest.seen(0, true, flow);
    },
    headReleased: () => {
      guest.released++;
      direction.head = HEAD_PASSED;
    },
    lengthChanged: () => guest.takesLength,
  };
  const flow = new BodyFlow(direction, 413, owner);
  direction.flow = flow;
  const link = new FakeLink();
  flow.attach(link);
  return { flow, link, guest };
}

function feed(flow: BodyFlow, ...pieces: readonly string[]): void {
  for (const piece of pieces) {
    MEMORY.set(Buffer.from(piece), 100);
    flow.data(0, 100, 100 + piece.length);
    // The region is somebody else's now.
    MEMORY.fill(0x2a, 100, 100 + piece.length);
  }
}

describe("a body", () => {
  it("that is let pass goes on piece by piece, without a copy", () => {
    const { flow, link, guest } = flowOf(HEAD_PASSED, () => true);
    feed(flow, "one", "two");
    flow.end();
    expect(guest.asked).toEqual(["3", "3", "0 last"]);
    expect(link).toMatchObject({ sent: "onetwo", regions: 2, ended: true });
  });

  it("that is held comes together, and goes on whole", () => {
    const { flow, link, guest } = flowOf(HEAD_PASSED, (_, last) => last);
    feed(flow, "one", "two", "three");
    expect(link.sent).toBe("");
    flow.end();
    expect(guest.asked).toEqual(["3", "6", "11", "11 last"]);
    expect(link).toMatchObject({ sent: "onetwothree", ended: true });
  });

  it("that is held and changed takes its head along", () => {
    const { flow, link, guest } = flowOf(HEAD_PAUSED, (length, last, body) => {
      if (last) body.visible?.replace(0, length, Buffer.from("changed"));
      return last;
    });
    feed(flow, "one", "two");
    flow.end();
    expect(guest.released).toBe(1);
    expect(link).toMatchObject({ sent: "changed", ended: true });
  });

  it("whose length is changed when its head has left with another breaks off", () => {
    const { flow, link, guest } = flowOf(HEAD_PASSED, (length, _, body) => {
      body.visible?.replace(0, length, Buffer.from("longer than before"));
      return true;
    });
    guest.takesLength = false;
    feed(flow, "one");
    expect(link).toMatchObject({ sent: "", failure: 502 });
  });

  it("waits with a head that waits for an answer, and the guest is asked once that has gone on", () => {
    const { flow, link, guest } = flowOf(HEAD_PAUSED, () => true);
    flow.wait();
    expect(link.paused).toBe(true);
    feed(flow, "under", "way");
    flow.end();
    expect(guest.asked).toEqual([]);
    flow.released();
    expect(guest.asked).toEqual(["8 last"]);
    expect(guest.released).toBe(1);
    expect(link).toMatchObject({ sent: "underway", ended: true, paused: false });
  });

  it("waits behind a full link, and ends behind what waited", () => {
    const { flow, link } = flowOf(HEAD_PASSED, (_, last) => last);
    link.full = true;
    feed(flow, "one", "two");
    flow.end();
    expect(link).toMatchObject({ sent: "", ended: false });
    link.full = false;
    flow.drained();
    expect(link).toMatchObject({ sent: "onetwo", ended: true });
  });

  it("that is held beyond the bound is refused", () => {
    const { flow, link } = flowOf(HEAD_PASSED, () => false);
    for (let n = 0; n < 40; n++) feed(flow, "x".repeat(30_000));
    expect(link.failure).toBe(413);
  });

  it("goes on as it is when the guest has ended and the route allows it", () => {
    const { flow, link } = flowOf(HEAD_PASSED, () => false);
    feed(flow, "held ");
    flow.abandon(false);
    feed(flow, "free");
    flow.end();
    expect(link).toMatchObject({ sent: "held free", ended: true, failure: 0 });
  });

  it("fails when the guest has ended and the route denies", () => {
    const { flow, link } = flowOf(HEAD_PASSED, () => false);
    feed(flow, "held");
    flow.abandon(true);
    expect(link).toMatchObject({ sent: "", failure: 503 });
  });
});

const X_SUM = internName("x-sum");
const ONE = Buffer.from("1");

describe("trailers", () => {
  it("that have come are shown in the place of the body's end, and can be changed until it goes on", () => {
    let holds = true;
    const { flow, link, guest } = flowOf(HEAD_PASSED, (_, last) => !last || !holds);
    link.makeTrailers().add(X_SUM, ONE, 0, 1);
    feed(flow, "one");
    expect(flow.direction.trailing).toBe(null);
    flow.end();
    expect([guest.asked, link.ended]).toEqual([["3", "trailers 1"], false]);
    holds = false;
    flow.direction.trailing?.trailers?.remove(X_SUM);
    flow.release();
    expect([link.ended, link.trailers?.entries(), flow.direction.trailing]).toEqual([true, [], null]);
  });

  it("can be added at the end of the body where there are none, and before that not", () => {
    const { flow, link } = flowOf(HEAD_PASSED, (_, last, { direction }) => {
      expect(direction.trailing === null).toBe(!last);
      direction.trailing?.makeTrailers()?.add(X_SUM, ONE, 0, 1);
      return true;
    });
    feed(flow, "one");
    flow.end();
    expect([link.sent, link.ended, link.trailers?.entries(), flow.direction.trailing]).toEqual([
      "one",
      true,
      [["x-sum", "1"]],
      null,
    ]);
  });

  it("of a body that is not wanted any more are nobody's", () => {
    const { flow } = flowOf(HEAD_PASSED, () => false);
    flow.end();
    expect(flow.direction.trailing).not.toBe(null);
    flow.drop();
    expect(flow.direction.trailing).toBe(null);
  });
});
