/**
 * Changes of the configuration and workers killed under load: nobody loses a request but those whose connection the killed
 * worker held when it died.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { readFileSync } from "node:fs";
import { clientsOf, startWork, type AtWork } from "./gateway-at-work.ts";
import { SteadyClient } from "./steady-client.ts";

export interface SwapsAndKills {
  readonly seconds: number;
  readonly swaps: number;
  readonly kills: number;
}

export interface Toll {
  readonly answered: number;
  readonly lost: number;
  readonly swaps: number;
  readonly kills: number;
  /** Lost without the excuse of a killed worker; there must be none. */
  readonly unexcused: readonly string[];
}

const KEPT = 16;
const NEW = 4;
const WORKERS = 2;
const RECOVERY_MS = 60_000;
/** Changes that met a dying worker; more have another reason. */
const REFUSED_MAX = 20;

export async function swapsAndKills({ seconds, swaps, kills }: SwapsAndKills): Promise<Toll> {
  const work = await startWork({ workers: WORKERS, answer: (_, response) => response.end("ok\n") });
  const clients = [
    ...Array.from({ length: KEPT }, () => new SteadyClient(work.port, true)),
    ...Array.from({ length: NEW }, () => new SteadyClient(work.port, false, 5)),
  ];
  const doomed = new Set<number>();
  const until = Date.now() + seconds * 1000;
  try {
    const [changed, killed] = await Promise.all([
      changes(work, swaps, seconds),
      deaths(work, kills, seconds, doomed),
      sleep(Math.max(0, until - Date.now())),
    ]);
    await Promise.all(clients.map((client) => client.stop()));
    const losses = clients.flatMap((client) => client.losses);
    return {
      answered: clients.reduce((sum, client) => sum + client.answered, 0),
      lost: losses.length,
      swaps: changed,
      kills: killed,
      unexcused: losses.filter(({ port }) => !doomed.has(port)).map(({ port, why }) => `${port}: ${why}`),
    };
  } finally {
    await Promise.all(clients.map((client) => client.stop()));
    await work.stop();
  }
}

/** Spread over the time; one that a dying worker spoils is made again. Answers how many came into force. */
async function changes({ gateway, declared }: AtWork, count: number, seconds: number): Promise<number> {
  const pauseMs = (seconds * 1000) / (count + 1);
  let done = 0;
  let refused = 0;
  let next = Date.now() + pauseMs;
  while (done < count) {
    await sleep(Math.max(0, next - Date.now()));
    const { headers } = await gateway.admin("GET", "/v1/config");
    const fields = { "if-match": String(headers["etag"]) };
    const { status, body } = await gateway.admin("PUT", "/v1/config", declared(1 + (done % 50)), fields);
    if (status === 200) done++;
    else if (++refused > REFUSED_MAX) throw new Error(`changes are refused: ${body}`);
    next += pauseMs;
  }
  return done;
}

/** One worker after the other, each held still first, so that what it holds is known when it dies. */
async function deaths(work: AtWork, count: number, seconds: number, doomed: Set<number>): Promise<number> {
  const pauseMs = (seconds * 1000) / (count + 1);
  let next = Date.now() + pauseMs;
  for (let i = 0; i < count; i++) {
    await sleep(Math.max(0, next - Date.now()));
    const victim = (await allReady(work))[i % WORKERS] ?? 0;
    process.kill(victim, "SIGSTOP");
    try {
      await stopped(victim);
      for (const port of clientsOf(victim, work.port)) doomed.add(port);
    } finally {
      process.kill(victim, "SIGKILL");
    }
    next += pauseMs;
  }
  await allReady(work);
  return count;
}

/** Pids of the workers, once all of them serve. */
async function allReady({ gateway }: AtWork): Promise<number[]> {
  const until = Date.now() + RECOVERY_MS;
  for (;;) {
    const { body } = await gateway.admin("GET", "/v1/status");
    const { workers } = JSON.parse(body) as { workers: { pid: number; state: string }[] };
    if (workers.length === WORKERS && workers.every(({ state }) => state === "ready"))
      return workers.map(({ pid }) => pid);
    if (Date.now() > until) throw new Error(`workers did not come back: ${JSON.stringify(workers)}`);
    await sleep(20);
  }
}

async function stopped(pid: number): Promise<void> {
  const state = (): string => {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
  };
  while (state() !== "T") await sleep(1);
}
