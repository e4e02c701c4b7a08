/**
 * A worker without a data plane, for tests of the supervisor: greets every connection with `PID REVISION`, then echoes.
 * What a snapshot's first upstream is called decides how it takes it: `refuse`, `die`, `hang`, anything else is well.
 */
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { asFd, type Fd } from "#core/brands.ts";
import { setBlocking } from "#sys/blocking.ts";
import { receiveDescriptors } from "#sys/descriptors.ts";
import { accept4 } from "#sys/socket.ts";
import { unpackSnapshot } from "#snapshot/packed.ts";
import { patched } from "#snapshot/patch.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";
import type { PrepareMessage, ToSupervisor, ToWorker } from "#worker/protocol.ts";
import { FD_CHANNEL } from "#worker/protocol.ts";

interface Server {
  close(): void;
}

const ACCEPT_EVERY_MS = 5;

const descriptors = new Map<number, Fd>();
const servers = new Map<number, Server>();
const known = new Set<string>();
const maps = new Map<string, string[]>();
let prepared: { readonly message: PrepareMessage; readonly snapshot: Snapshot } | null = null;
let running: Snapshot | null = null;
let connections = 0;
let changes = 0;

const say = (message: ToSupervisor): void => {
  process.send?.(message);
};

function snapshotOf({ snapshot }: PrepareMessage): Snapshot {
  if ("base" in snapshot) return patched(running, snapshot);
  const unpacking = unpackSnapshot(snapshot);
  for (;;) {
    const step = unpacking.next();
    if (step.done === true) return step.value;
  }
}

function prepare(message: PrepareMessage): void {
  const snapshot = snapshotOf(message);
  for (const { tag, fd } of receiveDescriptors(asFd(FD_CHANNEL))) descriptors.set(tag, fd);
  for (const module of message.modules) known.add(module.digest);
  const missing = message.listeners.find(({ fdTag }) => !descriptors.has(fdTag));
  const unknown = snapshot.plugins.find(({ digest }) => !known.has(digest));
  const { id } = message;
  const wish = snapshot.upstreams[0]?.name;
  if (wish === "die") process.abort();
  if (wish === "exit") process.exit(3);
  if (wish === "hang") return;
  if (wish === "refuse") say({ type: "prepared", id, ok: false, error: "I'd rather not" });
  else if (missing !== undefined) say({ type: "prepared", id, ok: false, error: `no descriptor for ${missing.name}` });
  else if (unknown !== undefined) say({ type: "prepared", id, ok: false, error: `no module for ${unknown.name}` });
  else {
    prepared = { message, snapshot };
    say({ type: "prepared", id, ok: true });
  }
}

function commit(id: number): void {
  if (prepared?.message.id !== id) return;
  const { message, snapshot } = prepared;
  prepared = null;
  running = snapshot;
  for (const { name, entries } of message.maps) {
    maps.set(name, maps.get(name) ?? entries.map(({ key }) => Buffer.from(key).toString("hex")));
  }
  const named = new Set(message.listeners.map(({ fdTag }) => fdTag));
  for (const [tag, server] of servers) {
    if (named.has(tag)) continue;
    server.close();
    servers.delete(tag);
    descriptors.delete(tag);
  }
  for (const tag of named) {
    const fd = descriptors.get(tag);
    if (fd !== undefined && !servers.has(tag)) servers.set(tag, serve(fd));
  }
  say({ type: "committed", id });
}

/** Node would call listen(2) on what listens already, which a confined worker may not. */
function serve(fd: Fd): Server {
  setBlocking(fd, false);
  const accepting = setInterval(() => {
    for (let client = accept4(fd); client >= 0; client = accept4(fd)) greet(new Socket({ fd: client }));
  }, ACCEPT_EVERY_MS);
  return {
    close: () => {
      clearInterval(accepting);
      closeSync(fd);
    },
  };
}

function greet(socket: Socket): void {
  connections++;
  socket.on("error", () => socket.destroy()).on("close", () => connections--);
  socket.write(`${process.pid} ${running?.revision ?? 0}\n`);
  socket.pipe(socket);
}

function drain(deadlineMs: number): void {
  for (const server of servers.values()) server.close();
  const until = Date.now() + deadlineMs;
  setInterval(() => {
    if (connections > 0 && Date.now() < until) return;
    say({ type: "drained" });
    setTimeout(() => process.exit(0), 10);
  }, 10);
}

process.on("message", (message: ToWorker) => {
  switch (message.type) {
    case "prepare":
      return prepare(message);
    case "commit":
      return commit(message.id);
    case "abort":
      prepared = null;
      return;
    case "drain":
      return drain(message.deadlineMs);
    case "stats": {
      const entries = [...maps.values()].reduce((sum, keys) => sum + keys.length, 0);
      return say({
        type: "stats-reply",
        id: message.id,
        counters: { connections_open: connections, changes, map_entries: entries },
        figures: [],
      });
    }
    case "outages":
      return say({ type: "outages-reply", id: message.id, outages: [] });
    case "map-change":
      changes++;
      return;
    case "explain":
      return say({
        type: "explain-reply",
        id: message.id,
        result: { route: null, tenant: null, filters: [], upstreams: [], reason: "a fake routes nothing" },
      });
  }
});
process.on("disconnect", () => process.exit(0));
say({ type: "hello", pid: process.pid, driver: "epoll" });
