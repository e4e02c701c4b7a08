/**
 * The resources of the contract, as this version takes them: one schema for YAML, REST, JSON Schema and OpenAPI. What the
 * contract promises for later versions is named here too, so that it is refused by name and never silently ignored.
 *
 * A schema checks one value by itself; what concerns several (references, claims, quotas) is in `references.ts`.
 * Defaults are filled in when a declaration is compiled; what is stored is what was declared.
 */
import * as v from "valibot";
import { isPublicKey, isSignature } from "#control/plugins/signature.ts";
import { fields, resource } from "./fields.ts";
import { Filter } from "./filters.ts";
import { KernelInterceptor, KernelInterface, KernelTrace } from "./kernel-devices.ts";
import { kernelBindings } from "./binding-resources.ts";
import { kernelServices } from "./service-resources.ts";
import { Destination, ProxyProtocol, ProxyVersion } from "./stream-resources.ts";
import { Quotas } from "./tenant-quotas.ts";
import { ListenerTls, UpstreamTls } from "./tls-resources.ts";
import { prefix } from "./prefix.ts";
import {
  choice,
  headerName,
  headerValue,
  hostPattern,
  integer,
  list,
  methodToken,
  name,
  requestPath,
  sha256,
  text,
  version,
} from "./primitives.ts";
import { Balancer, HealthCheck, OutlierDetection, Retry, SplitStickiness, UpstreamLimits } from "./upstream-parts.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** `listen` and `endpoint` addresses are checked by `addresses.ts`, which knows which forms fit where. */
const address = v.pipe(
  text,
  v.minLength(1, "an address can't be empty"),
  v.maxLength(256, "an address has at most 256 characters"),
);

export const Listener = resource("a listener", {
  name,
  address,
  protocol: choice("protocol", ["http", "tcp", "udp", "tls-passthrough"]),
  transparent: v.optional(v.boolean("expected true or false"), false),
  proxyProtocol: v.optional(ProxyProtocol),
  tls: v.optional(ListenerTls),
  /** Which of these fit which protocol is checked in `streams.ts`. */
  idleTimeoutMs: v.optional(integer(1, 24 * HOUR_MS)),
  sessionsMax: v.optional(integer(1, 1_000_000)),
  /** `auto`: bulk by splice(2). `sockmap`: everything, by a program in the kernel, where it arrives. Of HTTP: what was upgraded. */
  splice: v.optional(choice("splice", ["auto", "sockmap"])),
});

const Endpoint = fields(
  "an endpoint",
  {
    address,
    weight: v.optional(integer(1, 1000), 1),
    /** Requests go to the lowest number that has an endpoint that can be used. */
    priority: v.optional(integer(0, 100), 0),
    /** Gets no new requests, but of clients that a cookie binds to it. */
    drain: v.optional(v.boolean("expected true or false"), false),
  },
  { tls: "TLS of one endpoint; it is a field of the upstream, and" },
);

export const Upstream = resource(
  "an upstream",
  {
    name,
    /** Left out: the gateway's own. A tenant's has a name of its own among the tenant's, and serves that tenant alone. */
    tenant: v.optional(name),
    endpoints: v.pipe(list(Endpoint, 1000), v.minLength(1, "an upstream needs at least one endpoint")),
    balancer: v.optional(Balancer, { type: "round-robin" }),
    timeouts: v.optional(
      fields(
        "timeouts",
        {
          connectMs: v.optional(integer(1, MINUTE_MS), 1000),
          /** From the request's last byte to the response's head. */
          requestMs: v.optional(integer(1, HOUR_MS), 30_000),
          /** How long an idle connection is kept for reuse. */
          idleMs: v.optional(integer(1, HOUR_MS), 60_000),
        },
        { perTryMs: "a timeout for each try, but as `retry.perTryMs`," },
      ),
      {},
    ),
    idleConnectionsMax: v.optional(integer(0, 10_000), 64),
    proxyProtocol: v.optional(
      v.pipe(
        ProxyVersion,
        v.description(
          "A header in front of each connection, and of its TLS, that tells the endpoint who the client is.",
        ),
      ),
    ),
    healthCheck: v.optional(HealthCheck),
    outlierDetection: v.optional(OutlierDetection),
    /** How long an endpoint that is new, or back, takes to get its whole share. */
    slowStartMs: v.optional(integer(0, HOUR_MS), 0),
    limits: v.optional(UpstreamLimits),
    retry: v.optional(Retry),
    tls: v.optional(UpstreamTls),
  },
  {},
);

const grant = v.optional(list(name, 1000));

export const Tenant = resource("a tenant", {
  name,
  hosts: list(hostPattern, 1000),
  quotas: v.optional(Quotas, {}),
  /** Ed25519 keys, 32 bytes in base64, that may sign the tenant's plugins. */
  publicKeys: v.optional(
    list(v.pipe(text, v.check(isPublicKey, "an Ed25519 public key is 32 bytes in base64")), 100),
    [],
  ),
  /** Plugins without a good signature are refused. */
  requireSignature: v.optional(v.boolean("expected true or false"), false),
  /** What routes of this tenant may refer to; a list that is left out leaves it to who declares the route. */
  allow: v.optional(
    fields("grants", {
      listeners: grant,
      upstreams: grant,
      maps: grant,
      /** Where the tenant's own upstreams may lead: prefixes (`10.1.0.0/16`), or addresses as an endpoint has them. */
      endpoints: v.optional(list(v.pipe(text, v.minLength(1, "a grant can't be empty")), 1000)),
    }),
    {},
  ),
});

export const Plugin = resource(
  "a plugin",
  {
    name,
    tenant: name,
    version,
    /** Read by who declares (`penstock apply`, `run -f`), and replaced by the digest of what was read. */
    file: v.optional(v.pipe(text, v.minLength(1, "a file name can't be empty"))),
    /** SHA-256 of the module as uploaded. */
    digest: v.optional(sha256),
    /** By one of the tenant's keys (`penstock plugin push --key`): 64 bytes in base64. */
    signature: v.optional(v.pipe(text, v.check(isSignature, "an Ed25519 signature is 64 bytes in base64"))),
  },
  { lang: "components" },
);

const RouteMatch = fields(
  "a match",
  {
    hosts: v.optional(
      v.pipe(
        list(hostPattern, 100),
        v.minLength(1, "name a host, or leave `hosts` out for all of the tenant's"),
        v.description(
          "Of http listeners the host of a request, of tls-passthrough and of tcp with `tls` the name that a client asks for by SNI. Left out: the hosts of the tenant; on tcp listeners any name, and none.",
        ),
      ),
    ),
    path: v.optional(
      fields(
        "a path",
        { prefix: v.optional(requestPath), exact: v.optional(requestPath) },
        { regex: "matching by regular expression" },
      ),
    ),
    methods: v.optional(list(methodToken, 50), []),
    headers: v.optional(v.record(headerName, headerValue, "expected header names with values"), {}),
    /** Of CONNECT, which names one beside its host; left out: every port. */
    ports: v.optional(
      v.pipe(list(integer(1, 65_535), 64), v.minLength(1, "name a port, or leave `ports` out for all")),
    ),
    /** Of streams (tcp, udp, tls-passthrough): where the client is, and where a steered one wanted to go. */
    sources: v.optional(list(prefix, 1000), []),
    destinations: v.optional(list(Destination, 1000), []),
  },
  { query: "matching by query" },
);

export const Route = resource(
  "a route",
  {
    name,
    tenant: name,
    /** Left out: every listener of the gateway. */
    listeners: v.optional(v.pipe(list(name, 100), v.minLength(1, "name a listener, or leave `listeners` out for all"))),
    match: v.optional(RouteMatch, {}),
    /**
     * The route takes CONNECT, and nothing else. `tunnel`: a connection to the upstream is opened, and joined to the client's.
     * `forward`: the upstream is a proxy, which gets the CONNECT. Left out: it takes every other request.
     */
    connect: v.optional(choice("connect", ["tunnel", "forward"])),
    filters: v.optional(list(Filter, 16), []),
    /** An upstream's name, or `original`: where a steered client wanted to go. */
    upstream: v.optional(name),
    split: v.optional(
      v.pipe(
        list(fields("a part of a split", { upstream: name, weight: integer(1, 1000) }), 100),
        v.minLength(1, "a split needs at least one upstream"),
      ),
    ),
    /** Keeps a client with its part of the split. */
    stickiness: v.optional(SplitStickiness),
    /** In place of the settings'. */
    bodyBytesMax: v.optional(integer(0, Number.MAX_SAFE_INTEGER)),
    timeouts: v.optional(fields("timeouts of a route", { requestMs: v.optional(integer(0, 24 * HOUR_MS)) })),
  },
  {
    rewrite: "rewriting",
    redirect: "redirects",
    retry: "retries",
    mirror: "mirroring",
  },
);

export const KernelMap = resource("a kernel map", {
  name,
  type: choice("type", ["hash", "lru-hash", "lpm-trie"], ["bloom", "ring-buffer", "array", "per-cpu-hash"]),
  key: choice("key", ["ip", "ip-prefix", "bytes"]),
  keyBytes: v.optional(integer(1, 256)),
  value: choice("value", ["expiry", "counter", "bytes"]),
  valueBytes: v.optional(integer(1, 4096)),
  maxEntries: integer(1, 4_194_304),
});

export const KernelSteering = fields("steering", {
  /** Left out: the last part of the cgroup's path. */
  name: v.optional(name),
  cgroup: v.pipe(
    text,
    v.regex(/^\/(?!.*\/\.{1,2}(?:\/|$)).{1,4000}$/, "a cgroup is an absolute path without . and .. segments"),
  ),
  ports: v.pipe(list(integer(1, 65_535), 64), v.minLength(1, "name a port")),
  listener: name,
  leaseMs: v.optional(integer(500, MINUTE_MS), 3000),
  /** On trial: undone unless it is confirmed in this time. Confirming takes this field away. */
  confirmMs: v.optional(integer(1000, HOUR_MS)),
});

export const Kernel = fields("kernel resources", {
  maps: v.optional(list(KernelMap, 256), []),
  interfaces: v.optional(list(KernelInterface, 64), []),
  steering: v.optional(list(KernelSteering, 64), []),
  interceptors: v.optional(list(KernelInterceptor, 64), []),
  services: kernelServices,
  bindings: kernelBindings,
  traces: v.optional(list(KernelTrace, 64), []),
});

export const Settings = fields("settings", {
  /** Clients whose forwarding headers are believed. */
  trustedProxies: v.optional(list(text, 1000), []),
  accessLog: v.optional(choice("accessLog", ["off", "json", "text", "template"]), "json"),
  /** A line of `template`: text with fields in it, such as `{client} "{method} {target}" {status}`. */
  accessLogTemplate: v.optional(
    v.pipe(text, v.minLength(1, "a line has something in it"), v.maxLength(1000, "too long")),
  ),
  /** Of the exchanges that went well, as many are logged; what failed always is. */
  accessLogPercent: v.optional(
    v.pipe(
      v.number("expected a percentage from 0 to 100"),
      v.minValue(0, "expected a percentage from 0 to 100"),
      v.maxValue(100, "expected a percentage from 0 to 100"),
    ),
  ),
  headTimeoutMs: v.optional(integer(1, HOUR_MS), 10_000),
  idleTimeoutMs: v.optional(integer(1, HOUR_MS), 60_000),
  bodyIdleTimeoutMs: v.optional(integer(1, HOUR_MS), 30_000),
  drainMs: v.optional(integer(0, HOUR_MS), 10_000),
  /** How long what was begun may take behind an upgrade of the running program. */
  upgradeDrainMs: v.optional(integer(0, 24 * HOUR_MS), 300_000),
  /** A head is parsed in place, in one receive buffer of 32 KiB. */
  headBytesMax: v.optional(integer(512, 32_768), 16_384),
  targetBytesMax: v.optional(integer(64, 32_768), 8192),
  fieldsMax: v.optional(integer(8, 256), 128),
  /** A longer request body is answered 413; 0: without bound. A route may have its own. */
  bodyBytesMax: v.optional(integer(0, Number.MAX_SAFE_INTEGER), 0),
  /** From a request's head to the end of its response; 0: without bound. A route may have its own. */
  requestTimeoutMs: v.optional(integer(0, 24 * HOUR_MS), 0),
  /** Client connections at one time, of all clients and of one address, over all workers and listeners; 0: without bound. */
  connectionsMax: v.optional(integer(0, 1_000_000), 0),
  connectionsPerClientMax: v.optional(integer(0, 1_000_000), 0),
  /** `//a///b` is `/a/b`, to routes, filters and upstreams alike. */
  mergeSlashes: v.optional(v.boolean("expected true or false"), false),
  /** What upstreams are told of who asks. */
  forwarding: v.optional(
    fields("forwarding", {
      xForwarded: v.optional(list(choice("xForwarded", ["for", "proto", "host"]), 3), ["for", "proto"]),
      /** RFC 7239. */
      forwarded: v.optional(v.boolean("expected true or false"), false),
      /** The gateway's name in Via; empty: no such field. */
      via: v.optional(
        v.pipe(text, v.regex(/^[A-Za-z0-9._:-]{0,64}$/, "a name in Via is letters, digits, dots, - _ and :")),
        "",
      ),
      /** The field that carries a request's id, as `x-request-id`: made here, or a trusted client's; empty: none. */
      requestId: v.optional(v.pipe(text, v.regex(/^(?:|[a-z0-9-]{1,64})$/, "a field's name is in lower case")), ""),
    }),
    {},
  ),
  /** Who resolves names of endpoints, as `10.0.0.2:53`; left out: the system's resolv.conf. */
  nameservers: v.optional(list(address, 3), []),
});
