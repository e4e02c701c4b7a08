/**
 * Clients that cost as much as they can: heads and bodies a byte at a time, bodies that never come, answers that are not
 * read, connections by the hundred that say nothing. Each is ended within its time; who behaves is served throughout.
 */
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { residentBytes } from "#test/bench/host/process-tree.ts";
import { startWork } from "./gateway-at-work.ts";
import { SteadyClient } from "./steady-client.ts";

export interface Endured {
  /** Requests of the well-behaved client while it lasted, and those that failed. */
  readonly answered: number;
  readonly failed: readonly string[];
  /** Attackers that were still connected in the end; there must be none. */
  readonly left: number;
  /** Connections of the flood that were refused on accept. */
  readonly refused: number;
  readonly grownBytes: number;
  readonly counters: { readonly connectionsOpen: number; readonly exchangesOpen: number };
}

/** Each kind comes from an address of its own, so that the cap of one says nothing of another. */
const HEADS = "127.0.0.2";
const BODIES = "127.0.0.3";
const SILENT_BODIES = "127.0.0.4";
const READERS = "127.0.0.5";
const FLOOD = "127.0.0.6";

const TIMEOUT_MS = 1500;
const ANSWER_BYTES = 8 << 20;
const DRIP_MS = 100;
/** Every attacker must have been ended by then, on a machine that has other things to do as well. */
const PATIENCE_MS = 60_000;

class Attacker {
  ended = false;
  /** It was answered or ended before it had sent anything. */
  refused = false;
  readonly #socket: net.Socket;
  #dripping: NodeJS.Timeout | null = null;

  constructor(port: number, localAddress: string, first: string, drip: string, reads: boolean) {
    this.#socket = net.connect({ host: "127.0.0.1", port, localAddress });
    this.#socket.on("connect", () => {
      this.#socket.write(first);
      if (drip !== "") this.#dripping = setInterval(() => this.#socket.write(drip), DRIP_MS);
    });
    this.#socket.on("error", (error: NodeJS.ErrnoException) => (this.refused = error.code === "ECONNRESET"));
    this.#socket.on("close", () => {
      this.ended = true;
      if (this.#dripping !== null) clearInterval(this.#dripping);
    });
    if (reads) this.#socket.resume();
  }

  /** Whatever the other side thinks. A reader that stands still never sees the end by itself. */
  async look(): Promise<void> {
    this.#socket.resume();
    await sleep(0);
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** `each`: attackers of each kind; the cap is as many, and the flood is twice as large. */
export async function slowClients(each: number): Promise<Endured> {
  const body = Buffer.alloc(ANSWER_BYTES, "x");
  const work = await startWork({
    workers: 1,
    answer: (request, response) => {
      request.resume();
      if (request.url === "/large") response.end(body);
      else request.on("end", () => response.end("ok\n"));
    },
    settings: {
      headTimeoutMs: TIMEOUT_MS,
      bodyIdleTimeoutMs: TIMEOUT_MS,
      idleTimeoutMs: TIMEOUT_MS,
      connectionsPerClientMax: each,
    },
    route: { name: "late", match: { path: { prefix: "/late" } }, timeouts: { requestMs: 2 * TIMEOUT_MS } },
  });
  const attackers: Attacker[] = [];
  const attack = (count: number, from: string, first: string, drip: string, reads: boolean): void => {
    for (let i = 0; i < count; i++) attackers.push(new Attacker(work.port, from, first, drip, reads));
  };
  const good = new SteadyClient(work.port, true, 1);
  try {
    const [worker = 0] = await work.gateway.workers();
    while (good.answered < 100) await sleep(5);
    const before = residentBytes(worker);
    const post = "POST /late HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n";
    attack(each, HEADS, "GET / HTTP/1.1\r\nhost: a\r\nx-slow: ", "x", true);
    attack(each, BODIES, post, "x", true);
    attack(each, SILENT_BODIES, `${post}x`, "", true);
    attack(each, READERS, "GET /large HTTP/1.1\r\nhost: a\r\n\r\n", "", false);
    attack(2 * each, FLOOD, "", "", true);
    let grownBytes = 0;
    const until = Date.now() + PATIENCE_MS;
    let looked = false;
    while (attackers.some((one) => !one.ended) && Date.now() < until) {
      await sleep(50);
      grownBytes = Math.max(grownBytes, residentBytes(worker) - before);
      // Those that do not read have been cut long since: they look.
      const due = Date.now() > until - PATIENCE_MS + 4 * TIMEOUT_MS;
      if (due && !looked) {
        looked = true;
        for (const one of attackers) await one.look();
      }
    }
    await good.stop();
    return {
      answered: good.answered,
      failed: good.losses.map(({ why }) => why),
      left: attackers.filter((one) => !one.ended).length,
      refused: attackers.slice(-2 * each).filter((one) => one.refused).length,
      grownBytes,
      counters: await counters(work.gateway),
    };
  } finally {
    await good.stop();
    for (const one of attackers) one.destroy();
    await work.stop();
  }
}

async function counters(gateway: {
  admin(method: string, path: string): Promise<{ readonly body: string }>;
}): Promise<Endured["counters"]> {
  const { body } = await gateway.admin("GET", "/metrics");
  const of = (name: string): number => Number(new RegExp(`^penstock_${name}\\{[^}]*\\} (\\d+)$`, "m").exec(body)?.[1]);
  return { connectionsOpen: of("connections_open"), exchangesOpen: of("exchanges_open") };
}
