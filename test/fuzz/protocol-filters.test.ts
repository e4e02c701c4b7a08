/**
 * Filters of scripts that take protocols off a stream, over damaged streams: what comes out, what is logged and how it ends are the
 * same wherever the stream is cut, and every buffer comes back.
 */
import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { parseAddress } from "#core/address.ts";
import { BINARY, encodeFrame, PING, TEXT } from "#http/websocket/frames.ts";
import { encodeProxyHeader } from "#net/proxy-protocol/encode.ts";
import { encodePacket } from "#pipeline/codecs/mqtt/encode.ts";
import { LEVEL_5 } from "#pipeline/codecs/mqtt/packets.ts";
import { PipeFilter } from "#pipeline/filters/pipe-filter.ts";
import type { Layout } from "#pipeline/layout/layout.ts";
import { expectAlikeHoweverCut, finds, mutatedBytes, runs } from "#test/support/fuzzing.ts";
import { rig, rigRuntime } from "#test/support/pipeline-rig.ts";

type Build = ($: Layout) => Layout;

interface Protocol {
  readonly name: string;
  readonly build: Build;
  readonly streams: readonly Uint8Array[];
  readonly splices: readonly string[];
}

const mask = Buffer.from("37fa213d", "hex");
const tail = Buffer.from("and more");
const [source, destination] = [parseAddress("192.0.2.1:1"), parseAddress("192.0.2.2:65535")];
const greeting = Buffer.from([5, 1, 0, 5, 1, 0, 3, 6]);

const PROTOCOLS: readonly Protocol[] = [
  {
    name: "decodeMQTT",
    build: ($) => $.decodeMQTT({ bytesMax: 100 }),
    streams: [
      Buffer.concat([
        encodePacket(
          { type: "CONNECT", protocolLevel: LEVEL_5, clientID: "a", cleanStart: true, keepAlive: 30, username: "kim" },
          LEVEL_5,
        ),
        encodePacket(
          {
            type: "PUBLISH",
            topic: "a/b",
            qos: 0,
            dup: false,
            retain: false,
            properties: { contentType: "text/plain" },
          },
          LEVEL_5,
          Buffer.from("hello"),
        ),
        encodePacket({ type: "PINGREQ" }, LEVEL_5),
      ]),
    ],
    splices: ["00", "30", "80", "c000", "ff", "0004"],
  },
  {
    name: "decodeWebSocket, encodeWebSocket",
    build: ($) => $.decodeWebSocket({ bytesMax: 100 }).encodeWebSocket(),
    streams: [
      Buffer.concat([
        encodeFrame(TEXT, Buffer.from("hello"), mask),
        encodeFrame(PING, Buffer.from("?"), mask),
        encodeFrame(BINARY, Buffer.alloc(60, 7), mask),
      ]),
    ],
    splices: ["00", "01", "80", "81", "82", "88", "fe", "ff", "7e"],
  },
  {
    name: "acceptSOCKS",
    build: ($) => $.acceptSOCKS(({ host }) => host !== "no").to(($) => $),
    streams: [
      Buffer.concat([greeting, Buffer.from("a.test"), Buffer.from([0, 80]), tail]),
      Buffer.concat([Buffer.from([4, 1, 0, 80, 0, 0, 0, 1]), Buffer.from("kim\0a.test\0"), tail]),
    ],
    splices: ["00", "01", "03", "04", "05", "ff", "0500", "6e6f"],
  },
  {
    name: "acceptProxyProtocol",
    build: ($) => $.acceptProxyProtocol(({ sourcePort }) => sourcePort !== 2).to(($) => $),
    streams: [
      Buffer.concat([encodeProxyHeader("v1", source, destination), tail]),
      Buffer.concat([encodeProxyHeader("v2", source, destination), tail]),
    ],
    splices: ["00", "0d0a", "20", "20", "ff", "21", "11", "0c", "02"],
  },
];

const runtime = rigRuntime();

/** All that a filter says of pieces that follow one another, and then end. */
function saidOf(build: Build, pieces: readonly Uint8Array[]): unknown {
  const line = rig(build, undefined, runtime);
  for (const piece of pieces) line.data(piece);
  line.close();
  line.check();
  return { out: line.out.text, logged: runtime.logged.splice(0), reported: runtime.reported.splice(0) };
}

function inputs({ streams, splices }: Protocol): fc.Arbitrary<Buffer> {
  return mutatedBytes(
    streams,
    splices.map((hex) => Buffer.from(hex, "hex")),
    3,
  );
}

/** Loses pieces of a single byte. */
class Careless extends PipeFilter<object> {
  override data(buffer: number, start: number, end: number): void {
    this.output.data(buffer, start, end - start > 1 ? end : start);
  }
}

describe.each(PROTOCOLS)("$name", (protocol) => {
  const { build } = protocol;

  it("says the same wherever its stream is cut, and gives back what it took", () => {
    fc.assert(
      fc.property(inputs(protocol), (bytes) => expectAlikeHoweverCut((pieces) => saidOf(build, pieces), bytes)),
      { numRuns: runs(40) },
    );
  });

  it("canary: one behind a filter that loses single bytes is found", () => {
    const careless: Build = ($) => build($.use((scope) => new Careless(scope)));
    expect(
      finds(inputs(protocol), (bytes) => expectAlikeHoweverCut((pieces) => saidOf(careless, pieces), bytes), 200),
    ).toBe(true);
  });
});
