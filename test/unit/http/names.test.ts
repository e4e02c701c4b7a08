import { describe, expect, it } from "vitest";
import * as names from "#http/names.ts";

const { findName, internName, nameText } = names;

function find(text: string): number {
  // Four readable bytes behind the name, as in a head; not zeros, which a mask could hide.
  const bytes = Buffer.from(`${text}\xff\xff\xff\xff`, "latin1");
  return findName(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, text.length);
}

describe("interning", () => {
  it("gives one id to one name, and finds it in any case", () => {
    for (const text of ["a", "ab", "abc", "abcd", "abcde", "abcdefgh", "x-interned-name", "~^_`|", "n".repeat(256)]) {
      const id = internName(text);
      expect(internName(text)).toBe(id);
      expect(nameText(id)).toBe(text);
      expect(find(text)).toBe(id);
      expect(find(text.toUpperCase())).toBe(id);
    }
  });

  it.each(["", "A", "x y", "x:y", "é", "x\0", "x\r", "n".repeat(257), "x\u0130"])("refuses %j", (text) => {
    expect(() => internName(text)).toThrow(expect.objectContaining({ code: "PENSTOCK_HTTP_NAME" }));
  });

  it("finds nothing that differs in one bit from a name", () => {
    const known = [
      "te",
      "via",
      "host",
      "cookie",
      "content-length",
      "transfer-encoding",
      "x-forwarded-for",
      "a^b~c_d`e",
    ];
    for (const text of known) {
      const id = internName(text);
      for (let at = 0; at < text.length; at++) {
        for (let bit = 0; bit < 8; bit++) {
          const other = text.charCodeAt(at) ^ (1 << bit);
          const changed = text.slice(0, at) + String.fromCharCode(other) + text.slice(at + 1);
          const sameLetter = bit === 5 && /[a-z]/.test(text.charAt(at));
          if (sameLetter) expect(find(changed)).toBe(id);
          else expect(find(changed)).not.toBe(id);
        }
      }
      expect(find(text.slice(0, -1))).not.toBe(id);
      expect(find(`${text}x`)).not.toBe(id);
    }
  });

  it("keeps apart names with the same ends and length", () => {
    const same = Array.from({ length: 300 }, (_, i) => `same-${String(i).padStart(4, "0")}-ends`);
    const ids = same.map(internName);
    expect(new Set(ids).size).toBe(same.length);
    for (const [index, text] of same.entries()) expect(find(text)).toBe(ids[index]);
    expect(find("same-9999-ends")).toBe(0);
  });
});

it("well-known constants are their names", () => {
  for (const [constant, id] of Object.entries(names)) {
    if (
      typeof id !== "number" ||
      constant.startsWith("NAME_") ||
      constant.startsWith("LAST_") ||
      constant.endsWith("_ALIAS")
    )
      continue;
    expect(nameText(id)).toBe(constant.toLowerCase().replaceAll("_", "-"));
  }
  expect(names.LAST_FRAMING_NAME).toBeLessThan(32);
  expect(names.TRAILER).toBeLessThan(32);
});

it("has a bound, which a full table answers with an error and known names with their ids", () => {
  const before = internName("x-before-full");
  let made = 0;
  try {
    for (; made < 5000; made++) internName(`full-${String(made)}`);
  } catch (error) {
    expect(error).toMatchObject({ code: "PENSTOCK_HTTP_NAMES_FULL" });
  }
  expect(made).toBeLessThan(5000);
  expect(internName("x-before-full")).toBe(before);
  expect(find("full-0")).toBe(internName("full-0"));
  expect(find("full-never")).toBe(0);
});
