/**
 * nginx as the peer: Debian's package, its own configuration, ports and directory; the system's service is left alone.
 * One worker; keep-alive on both sides without an end; no access log; the same forwarding fields as ours.
 */
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "#test/bench/host/probe.ts";
import type { Scope } from "#test/bench/host/scope.ts";
import { Unavailable } from "#test/bench/unavailable.ts";
import { ready, type Side, type TlsFiles } from "./side.ts";

const NJS_MODULE = "/usr/lib/nginx/modules/ngx_http_js_module.so";

export interface NginxOptions {
  readonly upstream: string;
  readonly cpu: number;
  /** What `x-token` must be; checked in njs. Null: nothing is checked. */
  readonly token: string | null;
  /** Its files, for TLS 1.3 with session tickets; absent: plaintext. */
  readonly tls?: TlsFiles;
}

const script = (token: string): string => `
function check(r) {
  return r.headersIn['X-Token'] === ${JSON.stringify(token)} ? '1' : '';
}
export default { check };
`;

/** What njs adds to a location: js_set runs the function once a request, its answer decides and goes upstream. */
const CHECK = `
      if ($checked = '') { return 401 "no token\\n"; }
      proxy_set_header X-Checked $checked;`;

/** As ours: tickets, no session cache. */
const encryption = ({ certificate, key }: TlsFiles): string => `
    ssl_certificate ${certificate};
    ssl_certificate_key ${key};
    ssl_protocols TLSv1.3;
    ssl_session_cache off;
    ssl_session_tickets on;`;

function configuration(port: number, upstream: string, filtered: boolean, tls: TlsFiles | undefined): string {
  return `daemon off;
pid nginx.pid;
worker_processes 1;
${filtered ? `load_module ${NJS_MODULE};\n` : ""}
events { worker_connections 16384; }

http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
${filtered ? "  js_path .;\n  js_import main from filter.js;\n  js_set $checked main.check;\n" : ""}
  upstream up {
    server ${upstream};
    keepalive 256;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
  }
  server {
    listen 127.0.0.1:${port}${tls === undefined ? "" : " ssl"} backlog=4096;${tls === undefined ? "" : encryption(tls)}
    location / {${filtered ? CHECK : ""}
      proxy_pass http://up;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
    }
  }
}
`;
}

/** `nginx 1.22.1`. nginx prints its version on standard error. */
function version(): string {
  const asked = spawnSync("nginx", ["-v"], { encoding: "utf8" });
  if (asked.error !== undefined) throw new Unavailable("nginx is not installed (apt-get install nginx-light)");
  return `nginx ${/nginx\/(\S+)/.exec(asked.stderr)?.[1] ?? ""}`.trim();
}

export async function startNginx(scope: Scope, { upstream, cpu, token, tls }: NginxOptions): Promise<Side> {
  const name = version();
  if (token !== null && !existsSync(NJS_MODULE)) {
    throw new Unavailable("njs is not installed (apt-get install libnginx-mod-http-js)");
  }
  const directory = scope.directory();
  const port = await freePort();
  writeFileSync(join(directory, "nginx.conf"), configuration(port, upstream, token !== null, tls));
  if (token !== null) writeFileSync(join(directory, "filter.js"), script(token));
  const paths = ["-p", directory, "-c", join(directory, "nginx.conf"), "-e", join(directory, "error.log")];
  const child = scope.spawn("nginx", paths, { cpu });
  const side = {
    name: token === null ? name : `${name} with njs`,
    origin: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    child,
  };
  return ready(side, token === null ? {} : { "x-token": token });
}
