/** Steering on trial, without a gateway: what is taken back when, and what it becomes. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { ChangeRequest } from "#control/changes.ts";
import type { Declaration } from "#control/config/declaration.ts";
import type { Logger } from "#control/logger.ts";
import { confirmed, Trials } from "#control/trials.ts";

const log = { warn: () => {}, error: () => {}, info: () => {} } as unknown as Logger;
const apps = (more: object): Declaration =>
  ({ kernel: { steering: [{ cgroup: "/cg/apps", ports: [80], listener: "s", ...more }] } }) as Declaration;
const ON_TRIAL = apps({ confirmMs: 60_000 });

let current: Declaration;
let messages: string[];
let trials: Trials;

beforeEach(() => {
  vi.useFakeTimers();
  messages = [];
  trials = new Trials((request: ChangeRequest) => {
    const { declaration } = request.edit(current);
    messages.push(request.message);
    change(declaration);
    return Promise.resolve();
  }, log);
});
afterEach(() => {
  trials.stop();
  vi.useRealTimers();
});

function change(to: Declaration): void {
  const before = current;
  current = to;
  trials.applied(before, to);
}

it("a new entry goes when nobody confirms it, and stays when somebody does", async () => {
  current = {};
  change(ON_TRIAL);
  await vi.advanceTimersByTimeAsync(59_999);
  expect(current).toEqual(ON_TRIAL);
  await vi.advanceTimersByTimeAsync(1);
  expect(current).toEqual({ kernel: { steering: [] } });
  expect(messages).toEqual(["steering apps was not confirmed in time"]);
  change(ON_TRIAL);
  change(confirmed(current, "apps") ?? {});
  await vi.advanceTimersByTimeAsync(120_000);
  expect(current).toEqual(apps({}));
  expect(messages).toHaveLength(1);
});

it("a changed entry becomes what it was, whatever else has changed since", async () => {
  current = apps({ ports: [443] });
  change(ON_TRIAL);
  await vi.advanceTimersByTimeAsync(30_000);
  change({ ...ON_TRIAL, settings: { accessLog: "off" } });
  await vi.advanceTimersByTimeAsync(30_000);
  expect(current).toEqual({ ...apps({ ports: [443] }), settings: { accessLog: "off" } });
});

it("a trial that is changed begins anew, and one that was removed is not taken back", async () => {
  current = {};
  change(ON_TRIAL);
  await vi.advanceTimersByTimeAsync(30_000);
  change(apps({ ports: [8080], confirmMs: 60_000 }));
  await vi.advanceTimersByTimeAsync(59_000);
  expect(messages).toEqual([]);
  change({});
  await vi.advanceTimersByTimeAsync(120_000);
  expect([current, messages]).toEqual([{}, []]);
});

it("none survives a restart", async () => {
  current = { kernel: { steering: [...(apps({}).kernel?.steering ?? []), ...(ON_TRIAL.kernel?.steering ?? [])] } };
  await trials.takeBackAll(current);
  expect(current).toEqual(apps({}));
  await trials.takeBackAll(current);
  expect(messages).toEqual(["steering was not confirmed before the restart"]);
});

it("what is not there can't be confirmed, and what is on none stays", () => {
  expect(confirmed({}, "apps")).toBeUndefined();
  const given = apps({});
  expect(confirmed(given, "apps")).toBe(given);
});
