/** A data plane with TLS inside the test's own process: certificates as a test made them, changed while it runs. */
import { X509Certificate } from "node:crypto";
import { formatAddress, parseAddress } from "#core/address.ts";
import { Engine } from "#proxy/engine.ts";
import type { Snapshot, UpstreamSpec } from "#snapshot/snapshot.ts";
import type { CertificateSpec, ListenerTlsSpec, UpstreamTlsSpec } from "#snapshot/tls.ts";
import { bind, getsockname, listen, setsockoptInt, SO_REUSEADDR, socket, SOL_SOCKET } from "#sys/socket.ts";
import { DataPlane } from "#worker/data-plane.ts";
import { openDriver } from "#worker/driver.ts";
import { TlsSet } from "#worker/tls-set.ts";
import { fingerprintOf, type Issued } from "./certificates.ts";
import { sleep } from "./data-plane.ts";
import { type SnapshotOptions, testSnapshot } from "./snapshot.ts";

export interface TlsPlaneOptions extends SnapshotOptions {
  readonly io: "io_uring" | "epoll";
  readonly certificates: readonly Issued[];
  readonly ocsp?: Uint8Array;
  /** Left out: all certificates, HTTP/1.1, version 1.2 and up. Null: a plain listener. */
  readonly tls?: Partial<ListenerTlsSpec> | null;
  readonly upstreamTls?: Partial<UpstreamTlsSpec>;
  readonly systemCa?: string;
}

export interface TlsPlane {
  readonly plane: DataPlane;
  readonly port: number;
  /** Lines for the operator. */
  readonly lines: string[];
  /** Puts a snapshot with other options into force. */
  change(options: Partial<TlsPlaneOptions>): void;
  counters(): Record<string, number>;
  settled(): Promise<void>;
  stop(): Promise<void>;
}

export const CLIENT_AUTH: ListenerTlsSpec["clientAuth"] = { mode: "none", ca: "", fingerprints: [], header: "" };

export async function startTlsPlane(options: TlsPlaneOptions): Promise<TlsPlane> {
  const lines: string[] = [];
  const plane = new DataPlane(openDriver(options.io), 1, undefined, (line) => lines.push(line));
  const set = new TlsSet(plane.context.tls, (line) => plane.context.log(line));
  const fd = socket(2);
  setsockoptInt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  bind(fd, parseAddress("127.0.0.1:0"));
  listen(fd);
  const port = Number(/:(\d+)$/.exec(formatAddress(getsockname(fd)))?.[1]);
  await new Promise((resolve) => setImmediate(resolve));
  plane.loop.start();
  let now = options;
  const put = (): void => {
    const snapshot = tlsSnapshot(now);
    const keys = now.certificates.map(({ key }) => Buffer.from(key));
    const systemCa = now.systemCa === undefined ? null : Buffer.from(now.systemCa);
    const tls = set.prepare(snapshot, { keys, systemCa, ticketKeys: [] });
    const chains = snapshot.routes.map(() => []);
    const engine = new Engine(snapshot, chains, plane.context.endpoints, () => {}, [], tls);
    const grants = [{ index: 0, name: "web", address: `127.0.0.1:${port}`, fdTag: 1 }];
    plane.commit(engine, grants, new Map([[1, fd]]), {
      originalOf: () => null,
      leadsTo: () => true,
      banned: () => false,
    });
    set.commit();
  };
  put();
  return {
    plane,
    port,
    lines,
    change: (more) => {
      now = { ...now, ...more };
      put();
    },
    counters: () => plane.counters(),
    settled: () => settled(plane),
    stop: async () => {
      plane.drain();
      for (let i = 0; i < 100 && plane.connections > 0; i++) await sleep(20);
      await sleep(20);
      plane.loop.stop();
    },
  };
}

/** Held at rest: the workspace, the two buffers of TLS, and what io_uring has lent to the kernel. */
const RESTING_BUFFERS_MAX = 259;

async function settled(plane: DataPlane): Promise<void> {
  let left: Record<string, number> = {};
  for (let i = 0; i < 100; i++) {
    left = plane.counters();
    const held = (left["buffers_all"] ?? 0) - (left["buffers_free"] ?? 0);
    if (left["exchanges_open"] === 0 && plane.connections === 0 && held <= RESTING_BUFFERS_MAX) return;
    await sleep(20);
  }
  throw new Error(`not settled: ${JSON.stringify(left)}`);
}

function tlsSnapshot(options: TlsPlaneOptions): Snapshot {
  const plain = testSnapshot(options);
  const certificates = options.certificates.map((one, i) => certificateSpec(one, `c${i}`, options.ocsp));
  const listeners = plain.listeners.map((one) =>
    options.tls === null
      ? one
      : {
          ...one,
          tls: listenerTls(certificates.length, options.tls),
        },
  );
  return { ...plain, certificates, listeners, upstreams: plain.upstreams.map((one) => upstream(one, options)) };
}

function upstream(spec: UpstreamSpec, options: TlsPlaneOptions): UpstreamSpec {
  return options.upstreamTls === undefined ? spec : { ...spec, tls: upstreamTls(options.upstreamTls) };
}

/** All of `certificates` certificates, HTTP/1.1, version 1.2 and up, unless told otherwise. */
export function listenerTls(certificates: number, over: Partial<ListenerTlsSpec> = {}): ListenerTlsSpec {
  return {
    certificates: Array.from({ length: certificates }, (_, i) => i),
    alpn: ["http/1.1"],
    minVersion: "1.2",
    ciphers: "",
    clientAuth: CLIENT_AUTH,
    handshakeTimeoutMs: 5000,
    handshakesMax: 512,
    ...over,
  };
}

export function upstreamTls(over: Partial<UpstreamTlsSpec> = {}): UpstreamTlsSpec {
  return {
    serverName: "",
    ca: "",
    insecureSkipVerify: false,
    clientCertificate: -1,
    alpn: ["http/1.1"],
    minVersion: "1.2",
    pins: [],
    ...over,
  };
}

export function certificateSpec({ certificate }: Issued, name: string, ocsp?: Uint8Array): CertificateSpec {
  const parsed = new X509Certificate(certificate);
  return {
    name,
    hosts: (parsed.subjectAltName ?? "")
      .split(", ")
      .filter((one) => one.startsWith("DNS:"))
      .map((one) => one.slice(4).toLowerCase()),
    keyType: parsed.publicKey.asymmetricKeyType ?? "",
    fingerprint: fingerprintOf(certificate),
    chain: certificate,
    sealedKey: fingerprintOf(certificate),
    notAfterMs: parsed.validToDate.getTime(),
    ...(ocsp === undefined ? {} : { ocsp: Buffer.from(ocsp).toString("base64") }),
  };
}
