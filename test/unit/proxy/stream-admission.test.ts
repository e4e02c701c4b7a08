/** Filters of streams asked one after the other: those that decide at once, those that wait, and who is told of the end. */
import { expect, it } from "vitest";
import type { OpeningStream, PendingAdmission, StreamFilter } from "#pipeline/stream-filter.ts";
import { admit } from "#proxy/stream/stream-route.ts";
import { NO_TAPS, Taps } from "#proxy/stream/taps.ts";
import { streamRoute } from "#test/support/stream-plane.ts";

const OPENING: OpeningStream = {
  protocol: "tcp",
  clientIp: new Uint8Array(16),
  clientPort: 0,
  serverName: "",
  tls: null,
  originalDestination: "",
  routeName: "all",
  routeTo: () => false,
};

class Rig {
  readonly seen: string[] = [];
  readonly pending: PendingAdmission[] = [];
  decided: Taps | null | undefined = undefined;

  /** `answer`: "later" waits. */
  filter(name: string, answer: boolean | "later", taps = true): StreamFilter {
    return {
      name,
      admits: () => {
        this.seen.push(`asks ${name}`);
        if (answer !== "later") return answer;
        const pending = { onDecided: null, abandon: () => void this.seen.push(`abandons ${name}`) };
        this.pending.push(pending);
        return pending;
      },
      tap: () => {
        this.seen.push(`taps ${name}`);
        return taps
          ? { data: () => 0, closed: ({ outcome }) => void this.seen.push(`closes ${name}: ${outcome}`) }
          : null;
      },
    };
  }

  admit(...filters: StreamFilter[]): ReturnType<typeof admit> {
    return admit({ spec: streamRoute(), filters, split: null }, OPENING, (taps) => (this.decided = taps));
  }
}

it("decides at once where nobody waits", () => {
  const rig = new Rig();
  expect(rig.admit()).toBe(NO_TAPS);
  expect(rig.admit(rig.filter("a", true, false))).toBe(NO_TAPS);
  expect(rig.admit(rig.filter("a", true))).toBeInstanceOf(Taps);
  expect(rig.decided).toBeUndefined();
});

it("tells those that had admitted it when another refuses it", () => {
  const rig = new Rig();
  expect(rig.admit(rig.filter("a", true), rig.filter("b", false), rig.filter("c", true))).toBeNull();
  expect(rig.seen).toEqual(["asks a", "taps a", "asks b", "closes a: denied"]);
});

it("asks the next when one that waited has admitted it, and taps each behind its own answer", () => {
  const rig = new Rig();
  const filters = [rig.filter("a", true), rig.filter("b", "later"), rig.filter("c", "later"), rig.filter("d", true)];
  rig.admit(...filters);
  expect(rig.seen).toEqual(["asks a", "taps a", "asks b"]);
  rig.pending[0]?.onDecided?.(true);
  expect([rig.seen.slice(3), rig.decided]).toEqual([["taps b", "asks c"], undefined]);
  rig.pending[1]?.onDecided?.(true);
  expect(rig.seen.slice(5)).toEqual(["taps c", "asks d", "taps d"]);
  expect(rig.decided).toBeInstanceOf(Taps);
});

it("refuses later as at once", () => {
  const rig = new Rig();
  rig.admit(rig.filter("a", true), rig.filter("b", "later"), rig.filter("c", true));
  rig.pending[0]?.onDecided?.(false);
  expect([rig.decided, rig.seen.at(-1)]).toEqual([null, "closes a: denied"]);
});

it("gives up who waits when the stream has gone", () => {
  const rig = new Rig();
  const admitting = rig.admit(rig.filter("a", true), rig.filter("b", "later"));
  if (admitting === null || admitting instanceof Taps) throw new Error("nobody waits");
  admitting.abandon();
  expect([rig.seen.slice(3), rig.decided]).toEqual([["abandons b", "closes a: denied"], undefined]);
});
