/** What upstreams are told of who asks, as it is configured; what is forged; paths with empty segments; the gateway's own replies. */
import type net from "node:net";
import { describe, expect, it } from "vitest";
import { closedAfterEach } from "#test/support/plane-tests.ts";
import { talk } from "#test/support/raw-http.ts";

const { upstream, plane } = closedAfterEach();
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const PLAIN = { xForwarded: ["for", "proto"], forwarded: false, via: "", requestId: "" } as const;

async function echo(): Promise<{ readonly address: string; readonly seen: string[] }> {
  const seen: string[] = [];
  const up = await upstream((socket: net.Socket, all: string) => {
    seen.push(all);
    socket.write(OK);
  });
  return { address: up.address, seen };
}

const fieldsOf = (head: string): string[] =>
  head
    .split("\r\n")
    .slice(1)
    .filter((line) => line !== "");
const request = (target: string, ...fields: string[]): string =>
  [`GET ${target} HTTP/1.1`, "Host: shop.example:8443", ...fields, "Connection: close", "", ""].join("\r\n");

describe("forwarding", () => {
  const FORGED = ["X-Forwarded-For: 6.6.6.6", "X-Forwarded-Host: evil", "Forwarded: for=6.6.6.6", "X-Request-Id: mine"];
  const ALL = {
    xForwarded: ["for", "proto", "host"],
    forwarded: true,
    via: "edge-1",
    requestId: "x-request-id",
  } as const;

  it("says all of it, and nothing that a stranger has said", async () => {
    const { address, seen } = await echo();
    const gateway = await plane("io_uring", { endpoints: [address], settings: { forwarding: ALL } });
    const answer = await talk(gateway.port, request("/", ...FORGED));
    expect(answer).toMatch(/\r\nvia: 1\.1 edge-1\r\n/);
    const fields = fieldsOf(seen[0] ?? "");
    expect(fields).toEqual(
      expect.arrayContaining([
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: shop.example:8443",
        'forwarded: for=127.0.0.1;proto=http;host="shop.example:8443"',
        "via: 1.1 edge-1",
      ]),
    );
    expect(fields.join("\n")).not.toMatch(/6\.6\.6\.6|evil|mine/);
    expect(fields.filter((line) => /^x-request-id: [0-9a-f]{20}$/.test(line))).toHaveLength(1);
  });

  it("continues what a trusted proxy has said, and keeps its id", async () => {
    const { address, seen } = await echo();
    const settings = { forwarding: ALL, trustedProxies: ["127.0.0.0/8"] };
    const gateway = await plane("epoll", { endpoints: [address], settings });
    await talk(gateway.port, request("/", ...FORGED, "Via: 1.0 before"));
    const fields = fieldsOf(seen[0] ?? "").map((line) => line.toLowerCase());
    expect(fields).toEqual(
      expect.arrayContaining([
        "x-forwarded-for: 6.6.6.6, 127.0.0.1",
        "x-forwarded-host: evil",
        "forwarded: for=6.6.6.6",
        'forwarded: for=127.0.0.1;proto=http;host="shop.example:8443"',
        "x-request-id: mine",
        "via: 1.0 before",
        "via: 1.1 edge-1",
      ]),
    );
  });

  it("says nothing where that is what is wanted", async () => {
    const { address, seen } = await echo();
    const gateway = await plane("epoll", {
      endpoints: [address],
      settings: { forwarding: { ...PLAIN, xForwarded: [] } },
    });
    await talk(gateway.port, request("/", ...FORGED));
    expect(fieldsOf(seen[0] ?? "").join("\n")).not.toMatch(/forwarded|via/i);
  });
});

describe("empty segments", () => {
  it.each([
    [true, "//a///b/", "/a/b/"],
    [true, "/a//../b", "/b"],
    [true, "/a%2f%2fb//c?x=//y", "/a%2F%2Fb/c?x=//y"],
    [true, "//", "/"],
    [false, "//a///b/", "//a///b/"],
  ])("merged: %s, %s is %s", async (mergeSlashes, target, expected) => {
    const { address, seen } = await echo();
    const gateway = await plane("epoll", { endpoints: [address], settings: { mergeSlashes } });
    await talk(gateway.port, request(target));
    expect(seen[0]?.split(" ")[1]).toBe(expected);
  });
});

describe("a reply of the gateway's own", () => {
  const refused = async (...fields: string[]): Promise<string> => {
    const gateway = await plane("epoll", { endpoints: ["127.0.0.1:1"], settings: { forwarding: PLAIN } });
    return talk(gateway.port, request("/", ...fields));
  };

  it("is a problem document with the request's id for programs", async () => {
    const answer = await refused("Accept: application/json, text/html");
    const id = /\r\nx-request-id: ([0-9a-f]{20})\r\n/.exec(answer)?.[1];
    expect(answer).toMatch(/\r\ncontent-type: application\/problem\+json\r\n/);
    const document = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n"))) as object;
    expect(document).toMatchObject({ status: 502, instance: `urn:penstock:request:${id}` });
  });

  it("is a page for browsers", async () => {
    const answer = await refused("Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
    const id = /\r\nx-request-id: ([0-9a-f]{20})\r\n/.exec(answer)?.[1];
    expect(answer).toMatch(/\r\ncontent-type: text\/html; charset=utf-8\r\n/);
    expect(answer).toContain("<h1>502 Bad Gateway</h1>");
    expect(answer).toContain(`Request ${id}`);
  });
});
