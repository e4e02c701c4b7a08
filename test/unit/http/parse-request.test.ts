/** Request heads: the line, the forms of targets, fields, the host. */
import { describe, expect, it } from "vitest";
import { parseRequestHead } from "#http/h1/parse-request.ts";
import {
  ABSOLUTE,
  ASTERISK,
  AUTHORITY,
  METHOD_CONNECT,
  METHOD_DELETE,
  METHOD_GET,
  METHOD_HEAD,
  METHOD_OPTIONS,
  METHOD_OTHER,
  METHOD_PATCH,
  METHOD_POST,
  METHOD_PUT,
  METHOD_TRACE,
  ORIGIN,
} from "#http/head.ts";
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import { head, parse, request, store } from "#test/support/parsed-request.ts";

describe("request line", () => {
  it.each([
    ["GET", METHOD_GET],
    ["HEAD", METHOD_HEAD],
    ["POST", METHOD_POST],
    ["PUT", METHOD_PUT],
    ["DELETE", METHOD_DELETE],
    ["OPTIONS", METHOD_OPTIONS],
    ["TRACE", METHOD_TRACE],
    ["PATCH", METHOD_PATCH],
    ["get", METHOD_OTHER],
    ["GETS", METHOD_OTHER],
    ["GE", METHOD_OTHER],
    ["X", METHOD_OTHER],
    ["PROPFIND", METHOD_OTHER],
    ["PATCHX", METHOD_OTHER],
    ["M-SEARCH!#$%&'*+.^_`|~", METHOD_OTHER],
  ])("%s", (text, method) => {
    expect(parse(request(`${text} / HTTP/1.1`))).toBe("");
    expect(head.method).toBe(method);
    expect(head.methodText()).toBe(text);
  });

  it.each([
    ["GET / HTTP/1.1", "", 1],
    ["GET / HTTP/1.0", "", 0],
    ["GET / HTTP/1.2", "version", 1],
    ["GET / HTTP/2.0", "version", 1],
    ["GET / HTTP/0.9", "version", 1],
    ["GET / HTTP/1.1 ", "request-line", 1],
    ["GET / http/1.1", "request-line", 1],
    ["GET / HTTP/1,1", "request-line", 1],
    ["GET / HTTP/11", "request-line", 1],
    ["GET / HTTP/1.10", "request-line", 1],
    ["GET / HTTPS/1.1", "request-line", 1],
    ["GET /", "request-line", 1],
    ["GET  / HTTP/1.1", "target", 1],
    ["GET /  HTTP/1.1", "request-line", 1],
    ["GET\t/ HTTP/1.1", "method", 1],
    [" GET / HTTP/1.1", "method", 1],
    ["G(T / HTTP/1.1", "method", 1],
    ["G\0T / HTTP/1.1", "method", 1],
    ["GÉT / HTTP/1.1", "method", 1],
    ["GET", "request-line", 1],
    ["GET / HTTP/1.1\rX", "bare-cr", 1],
    ["GET /\n", "bare-lf", 1],
    ["GET\n/", "bare-lf", 1],
    [`${"M".repeat(32)} / HTTP/1.1`, "", 1],
    [`${"M".repeat(33)} / HTTP/1.1`, "method-length", 1],
  ])("%j: %s", (line, code, minor) => {
    expect(parse(request(line))).toBe(code);
    if (code === "") expect(head.minor).toBe(minor);
  });

  it("bears with up to four empty lines before it, whole ones", () => {
    for (let lines = 0; lines <= 4; lines++) {
      expect(parse("\r\n".repeat(lines) + request("GET / HTTP/1.1"))).toBe("");
      expect(store.text(head.start, head.start + 3)).toBe("GET");
    }
    expect(parse("\r\n".repeat(5) + request("GET / HTTP/1.1"))).toBe("empty-lines");
    expect(parse(`\n${request("GET / HTTP/1.1")}`)).toBe("bare-lf");
    expect(parse(`\r${request("GET / HTTP/1.1")}`)).toBe("bare-cr");
    expect(parse("\r\n\r")).toBe("incomplete");
  });
});

describe("target forms", () => {
  it.each([
    // line, form, path, query (undefined: none), host, port
    ["GET / HTTP/1.1", ORIGIN, "/", undefined, "a", 0],
    ["GET /x?y=z HTTP/1.1", ORIGIN, "/x", "y=z", "a", 0],
    ["GET /x? HTTP/1.1", ORIGIN, "/x", "", "a", 0],
    ["GET /x??y?/../ HTTP/1.1", ORIGIN, "/x", "?y?/../", "a", 0],
    ["GET //x HTTP/1.1", ORIGIN, "//x", undefined, "a", 0],
    ["GET /x?{\"q\":'<%>\\^`|'} HTTP/1.1", ORIGIN, "/x", "{\"q\":'<%>\\^`|'}", "a", 0],
    ["GET /[a]|^ HTTP/1.1", ORIGIN, "/[a]|^", undefined, "a", 0],
    ["GET http://b/x HTTP/1.1", ABSOLUTE, "/x", undefined, "b", 0],
    ["GET HTTPS://B:8443/x?q HTTP/1.1", ABSOLUTE, "/x", "q", "b", 8443],
    ["GET http://b HTTP/1.1", ABSOLUTE, "/", undefined, "b", 0],
    ["GET http://b?q HTTP/1.1", ABSOLUTE, "/", "q", "b", 0],
    ["GET http://b/a/../c HTTP/1.1", ABSOLUTE, "/c", undefined, "b", 0],
    ["OPTIONS http://b:81 HTTP/1.1", ABSOLUTE, "*", undefined, "b", 81],
    ["OPTIONS http://b:81?q HTTP/1.1", ABSOLUTE, "/", "q", "b", 81],
    ["OPTIONS * HTTP/1.1", ASTERISK, "*", undefined, "a", 0],
    ["OPTIONS /x HTTP/1.1", ORIGIN, "/x", undefined, "a", 0],
    ["CONNECT b:443 HTTP/1.1", AUTHORITY, "", undefined, "b", 443],
    ["CONNECT [2001:DB8::1]:443 HTTP/1.1", AUTHORITY, "", undefined, "[2001:db8::1]", 443],
  ])("%s", (line, form, path, query, host, port) => {
    expect(parse(request(line))).toBe("");
    expect(head.targetForm).toBe(form);
    expect(head.pathText()).toBe(path);
    expect(head.hasQuery).toBe(query !== undefined);
    expect(head.queryText()).toBe(query ?? "");
    expect(head.hostText()).toBe(host);
    expect(head.port).toBe(port);
    expect(head.targetText()).toBe(line.split(" ")[1]);
    if (form === AUTHORITY) expect(head.method).toBe(METHOD_CONNECT);
  });

  it.each([
    ["GET * HTTP/1.1", "target"],
    ["OPTIONS ** HTTP/1.1", "target"],
    ["OPTIONS */ HTTP/1.1", "target"],
    ["GET x HTTP/1.1", "target"],
    ["GET x/y HTTP/1.1", "target"],
    ["GET ?x HTTP/1.1", "target"],
    ["GET b:443 HTTP/1.1", "target"],
    ["GET ftp://b/ HTTP/1.1", "scheme"],
    ["GET ://b/ HTTP/1.1", "scheme"],
    ["GET http:/b/ HTTP/1.1", "target"],
    ["GET http:///x HTTP/1.1", "authority"],
    ["GET http://u@b/ HTTP/1.1", "userinfo"],
    ["GET http://u:p@b/ HTTP/1.1", "userinfo"],
    ["GET http://b:x/ HTTP/1.1", "authority"],
    ["GET http://b#f HTTP/1.1", "fragment"],
    ["CONNECT b HTTP/1.1", "authority"],
    ["CONNECT b: HTTP/1.1", "authority"],
    ["CONNECT /x HTTP/1.1", "authority"],
    ["CONNECT http://b:443/ HTTP/1.1", "authority"],
    ["CONNECT u@b:443 HTTP/1.1", "userinfo"],
    ["GET /x#f HTTP/1.1", "fragment"],
    ["GET /x?y#f HTTP/1.1", "fragment"],
    ["GET /a\\b HTTP/1.1", "target-byte"],
    ['GET /" HTTP/1.1', "target-byte"],
    ["GET /< HTTP/1.1", "target-byte"],
    ["GET /{ HTTP/1.1", "target-byte"],
    ["GET /é HTTP/1.1", "target-byte"],
    ["GET /?é HTTP/1.1", "target-byte"],
    ["GET /\x01 HTTP/1.1", "control-byte"],
    ["GET /?\x7f HTTP/1.1", "control-byte"],
    ["GET /\t HTTP/1.1", "control-byte"],
    ["GET /%zz HTTP/1.1", "escape"],
    ["GET /%4 HTTP/1.1", "escape"],
    ["GET /% HTTP/1.1", "escape"],
    ["GET /%00 HTTP/1.1", "escape"],
    ["GET /.. HTTP/1.1", "dot-segments"],
    ["GET /a/../.. HTTP/1.1", "dot-segments"],
    ["GET /%2e%2E/x HTTP/1.1", "dot-segments"],
    ["GET http://b/../x HTTP/1.1", "dot-segments"],
  ])("refuses %s: %s", (line, code) => {
    expect(parse(request(line))).toBe(code);
  });
});

describe("fields", () => {
  it.each([
    ["X:1", "1"],
    ["X: 1", "1"],
    ["X:\t 1 \t", "1"],
    ["X:", ""],
    ["X: ", ""],
    ["X: a\tb  c", "a\tb  c"],
    ["X: \x80\xff", "\x80\xff"],
    ["X: ::", "::"],
  ])("value of %j is %j", (line, value) => {
    expect(parse(request("GET / HTTP/1.1", line))).toBe("");
    expect(head.get("x")).toBe(value);
  });

  it("accepts every token byte in a name and every visible byte in a value, and no other", () => {
    for (let octet = 0; octet < 256; octet++) {
      const character = String.fromCharCode(octet);
      const inName = /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(character);
      // A colon ends the name and begins the value, which is as it should be.
      const nameAnswer = parse(request("GET / HTTP/1.1", `xx${character}x: 1`));
      expect(nameAnswer === "", `name byte ${String(octet)}`).toBe(inName || character === ":");
      for (const padding of ["", "1", "12", "123", "1234"]) {
        const valueAnswer = parse(request("GET / HTTP/1.1", `x: ${padding}${character}${padding}`));
        expect(valueAnswer === "", `value byte ${String(octet)}`).toBe(octet === 9 || (octet >= 32 && octet !== 127));
      }
    }
  });

  it.each([
    [["X : 1"], "space-before-colon"],
    [["X\t: 1"], "space-before-colon"],
    [[" X: 1"], "obs-fold"],
    [["X: 1", "\tY: 1"], "obs-fold"],
    [["X: 1", " "], "obs-fold"],
    [[": 1"], "field-name"],
    [["X"], "bare-cr"],
    [["X Y: 1"], "space-before-colon"],
    [["X(: 1"], "field-name"],
    [["X\x01: 1"], "control-byte"],
    [["X\0: 1"], "control-byte"],
    [["X: \0"], "control-byte"],
    [["X: \x7f"], "control-byte"],
    [["X: a\rb"], "bare-cr"],
    [["X: a\nb"], "bare-lf"],
    [["X: 1\nY: 2"], "bare-lf"],
    [["X: 1\r\r\nY: 2"], "bare-cr"],
    [["X: 1\r"], "bare-cr"],
    [["\rX: 1"], "bare-cr"],
    [["\nX: 1"], "bare-lf"],
    // A carriage return differs from a hyphen, and 0x10 from a digit, in the bit that folds case.
    [["content\rlength: 1"], "bare-cr"],
    [["x\x10: 1"], "control-byte"],
  ])("refuses %j: %s", (lines, code) => {
    expect(parse(request("GET / HTTP/1.1", ...lines))).toBe(code);
  });

  it("white space before the first field", () => {
    expect(parse("GET / HTTP/1.1\r\n Host: a\r\n\r\n")).toBe("space-before-colon");
    expect(parse("GET / HTTP/1.1\r\n\r\n")).toBe("host-missing");
  });

  it("finds names in any case, whatever their length", () => {
    for (const name of ["te", "age", "host", "accept", "cookie", "sec-websocket-key", "upgrade-insecure-requests"]) {
      for (const spelled of [name, name.toUpperCase()]) {
        const hostless = name === "host" ? [] : ["Host: a"];
        const { start, end } = store.put(["GET / HTTP/1.1", ...hostless, `${spelled}: v`].join("\r\n") + "\r\n\r\n");
        expect(parseRequestHead(head, start, end, DEFAULT_HEAD_LIMITS)).toBe(end);
        expect(head.nameId(hostless.length), spelled).toBeGreaterThan(0);
      }
    }
  });
});

describe("host", () => {
  it.each([
    ["a", "a", 0],
    ["A.Example", "a.example", 0],
    ["a:80", "a", 80],
    ["a:", "a", 0],
    ["a:65535", "a", 65535],
    ["a_b.c~d-e.", "a_b.c~d-e.", 0],
    ["192.0.2.1:1", "192.0.2.1", 1],
    ["[::1]", "[::1]", 0],
    ["[::]:80", "[::]", 80],
    ["[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7:8]", 0],
    ["[1::8]", "[1::8]", 0],
    ["[1:2:3:4:5:6:7::]", "[1:2:3:4:5:6:7::]", 0],
    ["[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]", 0],
    ["[FE80::A]", "[fe80::a]", 0],
    ["h".repeat(255), "h".repeat(255), 0],
  ])("%s", (value, host, port) => {
    expect(parse(`GET / HTTP/1.1\r\nHost: ${value}\r\n\r\n`)).toBe("");
    expect(head.hostText()).toBe(host);
    expect(head.port).toBe(port);
  });

  it.each([
    "",
    "a b",
    "a,b",
    "a/b",
    "a?b",
    "u@a",
    "a:b",
    "a:0",
    "a:65536",
    "a:080000",
    "a:80:80",
    "a%2eb",
    "a\\b",
    "\xe9",
    ":80",
    "[::1",
    "[::1]x",
    "[]",
    "[:]",
    "[:::]",
    "[1:2:3:4:5:6:7]",
    "[1:2:3:4:5:6:7:8:9]",
    "[1::2::3]",
    "[1:2:3:4:5:6:7::8]",
    "[12345::]",
    "[g::]",
    "[fe80::1%eth0]",
    "[::256.0.0.1]",
    "[::1.2.3]",
    "[::01.2.3.4]",
    "[1.2.3.4]",
    "[v1.x]",
    "h".repeat(256),
  ])("refuses %j", (value) => {
    expect(parse(`GET / HTTP/1.1\r\nHost: ${value}\r\n\r\n`)).toBe("host");
  });

  it("is there exactly once on HTTP/1.1, at most once on HTTP/1.0, and valid also when overridden", () => {
    expect(parse("GET / HTTP/1.1\r\nX: 1\r\n\r\n")).toBe("host-missing");
    expect(parse("GET http://b/ HTTP/1.1\r\nX: 1\r\n\r\n")).toBe("host-missing");
    expect(parse("GET / HTTP/1.0\r\n\r\n")).toBe("");
    expect(head.hostText()).toBe("");
    expect(parse("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n")).toBe("host-repeated");
    expect(parse("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n")).toBe("host-repeated");
    expect(parse("GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n")).toBe("host");
    expect(parse("GET http://b/ HTTP/1.1\r\nHost: c:1\r\n\r\n")).toBe("");
    expect(head.hostText()).toBe("b");
    expect(head.port).toBe(0);
  });
});
