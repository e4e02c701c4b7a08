/** Date (RFC 9110 section 6.6.1): in what the gateway says itself, and not in what others have said. */
import { expect, it } from "vitest";
import { CONTINUE, HOOK_REQUEST_HEAD, REPLY, type Exchange, type Filter } from "#pipeline/filter.ts";
import { closedAfterEach } from "#test/support/plane-tests.ts";
import { talk } from "#test/support/raw-http.ts";
import { testRoute } from "#test/support/snapshot.ts";

const { upstream, plane } = closedAfterEach();

function says(headers: readonly (readonly [string, string])[]): Filter {
  return {
    name: "test",
    hooks: HOOK_REQUEST_HEAD,
    requestHead: (exchange: Exchange) => {
      exchange.respond(200, headers, Buffer.from("said"));
      return REPLY;
    },
    responseHead: () => CONTINUE,
    end: () => {},
    dispose: () => {},
  };
}

/** The values of Date fields in an answer's head. */
function dates(answer: string): string[] {
  const head = answer.slice(0, answer.indexOf("\r\n\r\n"));
  return [...head.matchAll(/^date: ([^\r]*)\r?$/gim)].map(([, value = ""]) => value);
}

const GET = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const up = () => upstream((socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));

function isNow(value: string | undefined): void {
  expect(value).toMatch(/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/);
  // A worker that others keep from running may be late, and is never early by more than the second it tells.
  expect(Math.abs(Date.parse(value ?? "") - Date.now())).toBeLessThan(60_000);
}

it.each<[string, string, string]>([
  ["a problem document", GET, "HTTP/1.1 404 Not Found"],
  ["its head alone", GET.replace("GET", "HEAD"), "HTTP/1.1 404 Not Found"],
  ["what was refused unread", "GET / HTTP/9.9\r\n\r\n", "HTTP/1.1 505 "],
  ["a refused CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "HTTP/1.1 501 Not Implemented"],
])("stands in %s", async (_what, request, status) => {
  const { address } = await up();
  const match = { ...testRoute().match, hosts: ["elsewhere.test"] };
  const gateway = await plane("epoll", { endpoints: [address], routes: [testRoute({ match })] });
  const answer = await talk(gateway.port, request);
  expect(answer.startsWith(status), answer).toBe(true);
  const [date, ...more] = dates(answer);
  isNow(date);
  expect(more).toEqual([]);
});

it("stands in what a filter answers, which may give its own", async () => {
  const { address } = await up();
  const gateway = await plane("epoll", { endpoints: [address], filters: [says([["x-by", "filter"]])] });
  const [date, ...more] = dates(await talk(gateway.port, GET));
  isNow(date);
  expect(more).toEqual([]);
  const other = await plane("epoll", { endpoints: [address], filters: [says([["Date", "then"]])] });
  expect(dates(await talk(other.port, GET))).toEqual(["then"]);
});

it("stands in the success of a CONNECT that ends here", async () => {
  const { address } = await upstream(() => {});
  const gateway = await plane("epoll", { endpoints: [address], routes: [testRoute({ connect: "tunnel" })] });
  const answer = await talk(gateway.port, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", (all) =>
    all.endsWith("\r\n\r\n"),
  );
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\ndate: [^\r]+\r\n\r\n$/);
  isNow(dates(answer)[0]);
});

it("is left as it came in an upstream's response, also where there is none", async () => {
  const { address } = await up();
  const gateway = await plane("epoll", { endpoints: [address] });
  expect(dates(await talk(gateway.port, GET))).toEqual([]);
});
