import { closeSync, fstatSync, openSync, readdirSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { asFd } from "#core/brands.ts";
import type { Fd } from "#core/brands.ts";
import { closesOnExec, receiveDescriptors, sendDescriptors, setCloseOnExec, SOCK_SEQPACKET } from "#sys/descriptors.ts";
import { close, socketpair } from "#sys/socket.ts";

let ours: Fd;
let theirs: Fd;
let before = 0;
const openFiles = (): number => readdirSync("/proc/self/fd").length;

beforeEach(() => {
  before = openFiles();
  [ours, theirs] = socketpair(SOCK_SEQPACKET);
});

afterEach(() => {
  for (const fd of [ours, theirs]) if (closesOnExec(fd) !== null) close(fd);
  expect(openFiles()).toBe(before);
});

test("nothing waits: empty", () => {
  expect(receiveDescriptors(theirs)).toEqual([]);
});

// Around the 64 that one message carries, and several messages.
test.each([1, 2, 63, 64, 65, 200])("%i descriptors arrive in order, each the file it was", (count) => {
  const file = asFd(openSync("/dev/null", "r"));
  sendDescriptors(
    ours,
    Array.from({ length: count }, (_, i) => ({ tag: 0xffff_ffff - i, fd: file })),
  );
  const received = receiveDescriptors(theirs);
  expect(received.map(({ tag }) => tag)).toEqual(Array.from({ length: count }, (_, i) => 0xffff_ffff - i));
  for (const { fd } of received) {
    expect(fstatSync(fd).rdev).toBe(fstatSync(file).rdev);
    expect(closesOnExec(fd)).toBe(true);
    closeSync(fd);
  }
  closeSync(file);
});

test("a descriptor sent outlives the sender's copy", () => {
  const file = asFd(openSync("/dev/zero", "r"));
  sendDescriptors(ours, [{ tag: 7, fd: file }]);
  closeSync(file);
  close(ours);
  const [received] = receiveDescriptors(theirs);
  expect(received?.tag).toBe(7);
  close(received?.fd ?? -1);
  expect(receiveDescriptors(theirs)).toEqual([]);
});

test("a receiver that is gone is an error", () => {
  close(theirs);
  expect(() => sendDescriptors(ours, [{ tag: 1, fd: ours }])).toThrow(/sendmsg: EPIPE/);
});

test("a closed descriptor is an error, and says so", () => {
  expect(() => sendDescriptors(ours, [{ tag: 1, fd: asFd(9999) }])).toThrow(/sendmsg: EBADF/);
});

test("close-on-exec can be switched and asked for", () => {
  expect(closesOnExec(ours)).toBe(true);
  setCloseOnExec(ours, false);
  expect(closesOnExec(ours)).toBe(false);
  expect(closesOnExec(9999)).toBeNull();
});
