/** Connections for one request each, very many of them: a day's worth within minutes, and nothing of them stays. */
import net from "node:net";
import { residentBytes } from "#test/bench/host/process-tree.ts";
import { descriptorsOf, startWork } from "./gateway-at-work.ts";

export interface Passed {
  readonly connections: number;
  readonly failed: number;
  readonly seconds: number;
  readonly grownBytes: number;
  readonly grownDescriptors: number;
}

const AT_ONCE = 64;
const REQUEST = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

function one(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    let text = "";
    const socket = net.connect({ host: "127.0.0.1", port });
    socket.setEncoding("latin1");
    socket.on("connect", () => socket.write(REQUEST));
    socket.on("data", (part: string) => (text += part));
    socket.on("error", () => resolve(false));
    socket.on("close", () => resolve(text.startsWith("HTTP/1.1 200 ") && text.endsWith("ok\n")));
  });
}

/** Answers how many failed. */
async function many(port: number, count: number, progress: (done: number) => void): Promise<number> {
  let begun = 0;
  let failed = 0;
  const lane = async (): Promise<void> => {
    while (begun < count) {
      if (++begun % 50_000 === 0) progress(begun);
      if (!(await one(port))) failed++;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return failed;
}

export async function shortConnections(
  count: number,
  warmUp: number,
  progress: (done: number) => void = () => {},
): Promise<Passed> {
  const work = await startWork({
    workers: 1,
    answer: (_, response) => response.end("ok\n"),
    settings: { connectionsPerClientMax: 1000 },
  });
  try {
    const [worker = 0] = await work.gateway.workers();
    await many(work.port, warmUp, () => {});
    const [bytes, descriptors] = [residentBytes(worker), descriptorsOf(worker)];
    const begun = performance.now();
    const failed = await many(work.port, count, progress);
    const seconds = (performance.now() - begun) / 1000;
    const grownDescriptors = await settled(() => descriptorsOf(worker) - descriptors);
    return { connections: count, failed, seconds, grownBytes: residentBytes(worker) - bytes, grownDescriptors };
  } finally {
    await work.stop();
  }
}

/** The last connections are closed a moment after their clients know: waits for what stays. */
async function settled(grown: () => number): Promise<number> {
  for (let i = 0; i < 100 && grown() > 0; i++) await new Promise((resolve) => setTimeout(resolve, 50));
  return grown();
}
