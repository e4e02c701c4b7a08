/**
 * HAProxy as a peer: Debian's package, its own configuration and port, one thread. For TCP with `option splice-auto`, so that it
 * may move bulk within the kernel; for HTTP with and without TLS; for a filter in Lua.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "#test/bench/host/probe.ts";
import type { Scope } from "#test/bench/host/scope.ts";
import { Unavailable } from "#test/bench/unavailable.ts";
import { ready, type Side, type TlsFiles } from "./side.ts";

function configuration(port: number, upstream: string): string {
  return `global
  nbthread 1
  maxconn 2000
defaults
  mode tcp
  option splice-auto
  timeout connect 5s
  timeout client 600s
  timeout server 600s
frontend in
  bind 127.0.0.1:${port} backlog 4096
  default_backend up
backend up
  server up ${upstream}
`;
}

/** What the token check is in Lua: an action of the request decides, and adds the header. */
const luaScript = (token: string): string => `
core.register_action("check", { "http-req" }, function(txn)
  local values = txn.http:req_get_headers()["x-token"]
  if values ~= nil and values[0] == ${JSON.stringify(token)} then
    txn.http:req_set_header("x-checked", "1")
    txn:set_var("txn.checked", true)
  end
end)
`;

/** HTTP as ours: keep-alive without an end on both sides, connections to the upstream shared, the same forwarding fields. */
function httpConfiguration(
  port: number,
  upstream: string,
  more: { global?: string; bind?: string; rules?: string },
): string {
  return `global
  nbthread 1
  maxconn 2000
${more.global ?? ""}
defaults
  mode http
  option http-keep-alive
  http-reuse always
  timeout connect 5s
  timeout client 600s
  timeout server 600s
frontend in
  bind 127.0.0.1:${port} backlog 4096 ${more.bind ?? ""}
${more.rules ?? ""}
  http-request set-header x-forwarded-for %[src]
  http-request set-header x-forwarded-proto ${more.bind === undefined ? "http" : "https"}
  default_backend up
backend up
  server up ${upstream}
`;
}

const LUA_RULES = `  http-request lua.check
  http-request return status 401 content-type text/plain lf-string "no token" unless { var(txn.checked) -m bool }`;

/** The token check in Lua, in HTTP. */
export async function startHaproxyLua(
  scope: Scope,
  { upstream, cpu, token }: { upstream: string; cpu: number; token: string },
): Promise<Side> {
  const name = `${version()} with Lua`;
  const port = await freePort();
  const directory = scope.directory();
  const more = { global: "  lua-load filter.lua", rules: LUA_RULES };
  writeFileSync(join(directory, "haproxy.cfg"), httpConfiguration(port, upstream, more));
  writeFileSync(join(directory, "filter.lua"), luaScript(token));
  const child = scope.spawn("haproxy", ["-db", "-C", directory, "-f", join(directory, "haproxy.cfg")], { cpu });
  return ready({ name, origin: `http://127.0.0.1:${port}`, child }, { "x-token": token });
}

/** `haproxy 2.6.12`. */
function version(): string {
  const asked = spawnSync("haproxy", ["-v"], { encoding: "utf8" });
  if (asked.error !== undefined) throw new Unavailable("haproxy is not installed (apt-get install haproxy)");
  return `haproxy ${/version (\d+\.\d+\.\d+)/.exec(asked.stdout)?.[1] ?? ""}`.trim();
}

export async function startHaproxy(scope: Scope, { upstream, cpu }: { upstream: string; cpu: number }): Promise<Side> {
  const name = version();
  const port = await freePort();
  const file = join(scope.directory(), "haproxy.cfg");
  writeFileSync(file, configuration(port, upstream));
  const child = scope.spawn("haproxy", ["-db", "-f", file], { cpu });
  return ready({ name, origin: `http://127.0.0.1:${port}`, child }, {});
}

/** HTTP/1.1; over TLS 1.3 where there are files for it, with tickets and without a cache of sessions. */
export async function startHaproxyHttp(
  scope: Scope,
  { upstream, cpu, tls }: { upstream: string; cpu: number; tls?: TlsFiles },
): Promise<Side> {
  const name = version();
  const port = await freePort();
  const directory = scope.directory();
  const file = join(directory, "haproxy.cfg");
  const pem = join(directory, "site.pem");
  if (tls !== undefined) writeFileSync(pem, readFileSync(tls.certificate, "utf8") + readFileSync(tls.key, "utf8"));
  const more =
    tls === undefined
      ? {}
      : { global: "  tune.ssl.cachesize 0", bind: `ssl crt ${pem} ssl-min-ver TLSv1.3 alpn http/1.1` };
  writeFileSync(file, httpConfiguration(port, upstream, more));
  const child = scope.spawn("haproxy", ["-db", "-f", file], { cpu });
  return ready({ name, origin: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`, child }, {});
}
