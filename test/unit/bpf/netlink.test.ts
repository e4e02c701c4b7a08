import { describe, expect, it } from "vitest";
import {
  attribute,
  attributes,
  int32,
  message,
  messages,
  nested,
  NLMSG_ERROR,
  outcome,
  text,
} from "#bpf/netlink/message.ts";
import { findInterface, networkInterface } from "#bpf/netlink/interfaces.ts";

describe("netlink messages", () => {
  it("are laid out as the kernel has them", () => {
    const bytes = message(19, 5, 1, Buffer.alloc(16), nested(43, attribute(1, int32(-1)), attribute(3, text("lo"))));
    expect(bytes.toString("hex")).toBe(
      [
        "34000000" + "1300" + "0500" + "01000000" + "00000000",
        "00".repeat(16),
        "1400" + "2b80",
        "0800" + "0100" + "ffffffff",
        // "lo" and its NUL are 7 bytes with the header, and are padded to 8.
        "0700" + "0300" + "6c6f0000",
      ].join(""),
    );
  });

  it("come apart again", () => {
    const first = message(16, 2, 7, Buffer.from("abc"));
    // Messages begin at multiples of four.
    const datagram = Buffer.concat([first, Buffer.alloc(1), message(3, 0, 7)]);
    expect(messages(datagram).map(({ type, flags, body }) => [type, flags, body.toString()])).toEqual([
      [16, 2, "abc"],
      [3, 0, ""],
    ]);
    const found = attributes(Buffer.concat([attribute(3, text("eth0")), nested(43, attribute(2, Buffer.from([1])))]));
    expect(found.get(3)?.toString()).toBe("eth0\0");
    expect(attributes(found.get(43) ?? Buffer.alloc(0)).get(2)?.[0]).toBe(1);
  });

  it("tell the errno, and the kernel's words when there are any", () => {
    const echoed = Buffer.alloc(16);
    echoed.writeUInt32LE(16, 0);
    const bare = { type: NLMSG_ERROR, flags: 0x100, sequence: 1, body: Buffer.concat([int32(-16), echoed]) };
    expect(outcome(bare)).toEqual({ errno: 16, detail: "" });
    const words = { ...bare, flags: 0x300, body: Buffer.concat([bare.body, attribute(1, text("busy"))]) };
    expect(outcome(words)).toEqual({ errno: 16, detail: "busy" });
    const all = Buffer.concat([words.body, attribute(2, int32(36)), attribute(5, int32(3))]);
    expect(outcome({ ...words, body: all }).detail).toBe("busy, at byte 36 of the request, attribute 3 is missing");
  });

  it.each([
    ["a message shorter than its header", Buffer.alloc(16)],
    ["a message longer than the datagram", message(1, 0, 0, Buffer.alloc(8)).subarray(0, 20)],
  ])("%s is refused", (_what, bytes) => {
    expect(() => messages(bytes)).toThrow(/malformed reply/);
  });

  it.each([
    ["an attribute shorter than its header", Buffer.from([3, 0, 1, 0])],
    ["an attribute longer than the rest", Buffer.from([9, 0, 1, 0, 0])],
  ])("%s is refused", (_what, bytes) => {
    expect(() => attributes(bytes)).toThrow(/malformed reply/);
  });
});

it("finds the loopback interface, and says when there is none of a name", () => {
  expect(findInterface("lo")).toMatchObject({ name: "lo", index: 1 });
  expect(findInterface("pst-none")).toBeNull();
  expect(() => networkInterface("pst-none")).toThrow(/no such network interface: pst-none/);
});
