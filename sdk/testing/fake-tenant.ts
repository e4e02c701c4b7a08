/** Host calls of the fake host over what belongs to the tenant, its connections, and digests. */
import { createHash, createHmac, createPublicKey, verify } from "node:crypto";
import { METRIC_KINDS, SIGNATURES } from "#sdk/types/abi.ts";
import { prefixText } from "./addresses.ts";
import { bytesOfText, textOfBytes } from "./bytes.ts";
import type { FakeState, GuestMemory, PartOfCalls } from "./fake-state.ts";

const MISMATCH = -1;

export function tenantCalls(host: FakeState, { read, text, write }: GuestMemory) {
  const handles = Object.keys(host.upstreams);
  const seriesAt = (handle: number): string => {
    const found = [...host.series.keys()][handle];
    if (found === undefined) throw new Error(`unknown series ${handle}`);
    return found;
  };
  const put = (key: string, value: Uint8Array): number => {
    const version = (host.entries.get(key)?.version ?? 0) + 1;
    host.entries.set(key, { value, version });
    return version;
  };
  const connectionAt = (number: number) => {
    const found = host.open[number];
    if (found === undefined) throw new Error(`unknown connection ${number}`);
    return found;
  };
  return {
    kv_get: (keyAt: number, keyLength: number, at: number, room: number) => {
      const entry = host.entries.get(text(keyAt, keyLength));
      host.keyValueVersion = entry?.version ?? 0;
      return write(entry?.value, at, room);
    },
    kv_version: () => host.keyValueVersion,
    kv_put: (keyAt: number, keyLength: number, at: number, length: number, _ttlMs: number, version: number) => {
      const key = text(keyAt, keyLength);
      if (version >= 0 && version !== (host.entries.get(key)?.version ?? 0)) return MISMATCH;
      return put(key, read(at, length));
    },
    kv_delete: (keyAt: number, keyLength: number, version: number) => {
      const key = text(keyAt, keyLength);
      if (version >= 0 && version !== (host.entries.get(key)?.version ?? 0)) return 0;
      return host.entries.delete(key) ? 1 : 0;
    },
    kv_increment: (keyAt: number, keyLength: number, delta: bigint) => {
      const key = text(keyAt, keyLength);
      const before = host.entries.get(key)?.value;
      const sum = (before?.length === 8 ? Buffer.from(before).readBigInt64LE() : 0n) + delta;
      const value = Buffer.alloc(8);
      value.writeBigInt64LE(sum);
      put(key, value);
      return sum;
    },
    metric_define: (kind: number, at: number, length: number) => {
      const name = `${METRIC_KINDS[kind] ?? "unknown"} ${text(at, length)}`;
      if (!host.series.has(name)) host.series.set(name, 0);
      return [...host.series.keys()].indexOf(name);
    },
    metric_add: (handle: number, delta: number) => {
      host.series.set(seriesAt(handle), (host.series.get(seriesAt(handle)) ?? 0) + delta);
      return undefined;
    },
    metric_record: (handle: number, value: number) => {
      const name = seriesAt(handle);
      // Of a histogram, how many observations there were.
      host.series.set(name, name.startsWith("histogram") ? (host.series.get(name) ?? 0) + 1 : value);
      return undefined;
    },
    ban: (at: number, seconds: number) => {
      host.bans.set(prefixText(read(at, 20)), seconds);
      return 1;
    },
    connect: (handle: number) => {
      const upstream = handles[handle];
      if (upstream === undefined) throw new Error(`unknown upstream handle ${handle}`);
      const conversation = host.connections[upstream];
      if (conversation === undefined) return -1;
      const left = conversation.flatMap(({ answers }) => (answers === undefined ? [] : [answers]));
      return host.open.push({ upstream, left, sent: [] }) - 1;
    },
    connection_send: (number: number, at: number, length: number) => {
      connectionAt(number).sent.push(textOfBytes(read(at, length)));
      return 1;
    },
    connection_receive: (number: number, at: number, room: number) => {
      const next = connectionAt(number).left.shift();
      return next === undefined ? 0 : write(bytesOfText(next), at, room);
    },
    connection_close: (number: number) => {
      connectionAt(number).left = [];
      return undefined;
    },
    verify: (
      algorithm: number,
      keyAt: number,
      keyLength: number,
      dataAt: number,
      dataLength: number,
      at: number,
      length: number,
    ) => {
      const good = isGood(algorithm, read(keyAt, keyLength), read(dataAt, dataLength), read(at, length));
      return good ? 1 : 0;
    },
    hmac_sha256: (keyAt: number, keyLength: number, dataAt: number, dataLength: number, at: number) => {
      write(createHmac("sha256", read(keyAt, keyLength)).update(read(dataAt, dataLength)).digest(), at, 32);
      return undefined;
    },
    sha256: (dataAt: number, dataLength: number, at: number) => {
      write(createHash("sha256").update(read(dataAt, dataLength)).digest(), at, 32);
      return undefined;
    },
  } satisfies PartOfCalls;
}

function isGood(algorithm: number, key: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean {
  if (algorithm === SIGNATURES.HS256) {
    return createHmac("sha256", key).update(data).digest().equals(Buffer.from(signature));
  }
  try {
    const parsed = createPublicKey(Buffer.from(key).toString("latin1"));
    const digest = algorithm === SIGNATURES.EdDSA ? null : "sha256";
    return verify(digest, data, { key: parsed, dsaEncoding: "ieee-p1363" }, signature);
  } catch {
    // No key, or one of another kind: no signature is good by it.
    return false;
  }
}
