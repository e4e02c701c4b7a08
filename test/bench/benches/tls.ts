/**
 * TLS 1.3 in front of HTTP/1.1: requests on 64 connections that stay, and a connection with a full handshake for each request. One
 * ECDSA P-256 certificate for both sides.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import type { Bench } from "#test/bench/bench.ts";
import { compareReport } from "#test/bench/compare-report.ts";
import { assignCpus } from "#test/bench/host/cpus.ts";
import { startUpstream } from "#test/bench/host/upstream.ts";
import type { Scope } from "#test/bench/host/scope.ts";
import { requireWrk } from "#test/bench/host/wrk.ts";
import { runRounds } from "#test/bench/rounds.ts";
import { startHaproxyHttp } from "#test/bench/sides/haproxy.ts";
import { startNginx } from "#test/bench/sides/nginx.ts";
import { startPenstock } from "#test/bench/sides/penstock.ts";
import type { TlsFiles } from "#test/bench/sides/side.ts";

const BOUND = 1.0;
const CONNECTIONS = 64;
const WARM_UP_SECONDS = 3;

function certificate(scope: Scope): TlsFiles {
  const directory = scope.directory();
  const files = { certificate: join(directory, "site.pem"), key: join(directory, "site.key") };
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const to = ["-keyout", files.key, "-out", files.certificate, "-days", "2"];
  execFileSync("openssl", ["req", "-x509", ...kind, ...names, ...to], { stdio: "ignore" });
  return files;
}

export const tls: Bench = async (scope, options) => {
  requireWrk();
  const cpus = assignCpus();
  const { address } = await startUpstream(scope, cpus.upstream);
  const files = certificate(scope);
  const common = { upstream: address, cpu: cpus.proxy, token: null, tls: files };
  const sides = [
    await startPenstock(scope, common),
    await startNginx(scope, common),
    await startHaproxyHttp(scope, common),
  ];
  const reports = [];
  for (const [name, headers, bound] of [
    ["tls", [], BOUND],
    ["tls handshake", ["Connection: close"], null],
  ] as const) {
    const load = { ...options, warmUpSeconds: WARM_UP_SECONDS, connections: CONNECTIONS, headers, cpus };
    const [ours = [], theirs = [], others = []] = await runRounds(scope, sides, load);
    reports.push(
      compareReport(name, { name: sides[0]?.name ?? "", rounds: ours, bound: null }, [
        { name: sides[1]?.name ?? "", rounds: theirs, bound },
        { name: sides[2]?.name ?? "", rounds: others, bound: null },
      ]),
    );
  }
  return {
    figures: reports.flatMap(({ figures }) => figures),
    text: reports
      .map(({ text }, i) => `${i === 0 ? "keep-alive" : "a connection for each request"}\n\n${text}`)
      .join("\n\n"),
  };
};
