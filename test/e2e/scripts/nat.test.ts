/** plugins/scripts/nat: what a host behind a NAT asks. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterAll, beforeAll, expect, it } from "vitest";
import { decodeStun, encodeStun } from "#pipeline/codecs/stun/message.ts";
import { freePort } from "#test/support/ports.ts";
import { startScript, type ScriptGateway } from "#test/support/script-gateway.ts";

let client: Socket;
let script: ScriptGateway;
let [stun, echo] = [0, 0];

beforeAll(async () => {
  client = createSocket("udp4");
  await once(client.bind(0, "127.0.0.1"), "listening");
  [stun, echo] = [await freePort(), await freePort()];
  script = await startScript("nat", { "127.0.0.1:3478": `127.0.0.1:${stun}`, "127.0.0.1:5000": `127.0.0.1:${echo}` });
}, 90_000);

afterAll(async () => {
  await script.stop();
  await new Promise<void>((resolve) => client.close(resolve));
});

async function ask(port: number, ...datagrams: readonly (string | Uint8Array)[]): Promise<Buffer> {
  for (const datagram of datagrams) client.send(datagram, port, "127.0.0.1");
  const [bytes] = (await once(client, "message")) as [Buffer];
  return bytes;
}

it("is told under which address it is seen", async () => {
  const transactionID = Buffer.from("twelve bytes");
  // What is no binding request is not answered: the answer is the last one's.
  const answer = await ask(
    stun,
    "no STUN",
    encodeStun({ type: 0x0111, transactionID }),
    encodeStun({ type: 1, transactionID }),
  );
  const { port } = client.address();
  expect(decodeStun(answer)).toMatchObject({
    type: 0x0101,
    transactionID: Uint8Array.from(transactionID),
    mapped: { address: "127.0.0.1", port },
  });
});

it("gets back what it sends", async () => {
  expect(String(await ask(echo, "PING 1"))).toBe("PONG");
  expect(String(await ask(echo, "anything"))).toBe("anything");
});
