/**
 * The admin API on sockets that someone else has bound. h3 runs over node:http directly: srvx would open a port of its
 * own choosing. Which socket a connection came by is remembered when it is accepted, since a closed one no longer tells.
 */
import { createHash } from "node:crypto";
import { fstatSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Duplex } from "node:stream";
import { H3, toNodeHandler, type H3Event, type HTTPError } from "h3";
import { asFd } from "#core/brands.ts";
import { controlError } from "#core/errors/control.ts";
import { peerUid } from "#sys/peer-credentials.ts";
import { auditRoutes } from "./audit-routes.ts";
import { backupRoutes } from "./backup-routes.ts";
import { configRoutes } from "./config-routes.ts";
import { endpointRoutes } from "./endpoint-routes.ts";
import { entryRoutes } from "./entry-routes.ts";
import { eventRoutes } from "./event-routes.ts";
import { pluginLogRoutes } from "./plugin-log-routes.ts";
import { pluginMessageRoutes } from "./plugin-message-routes.ts";
import { FailedAttempts } from "./failed-attempts.ts";
import { Idempotency } from "./idempotency.ts";
import type { Origin } from "./identity.ts";
import { counterRoutes } from "./counter-routes.ts";
import { kernelRoutes } from "./kernel-routes.ts";
import { tapRoutes } from "./tap-routes.ts";
import { traceRoutes } from "./trace-routes.ts";
import { openApiRoute } from "./openapi.ts";
import { pluginRoutes } from "./plugin-routes.ts";
import { problemOf, problemResponse } from "./problem.ts";
import { purgeRoutes } from "./purge-routes.ts";
import { recordingRoutes } from "./recording-routes.ts";
import { resourceRoutes } from "./resource-routes.ts";
import { revisionRoutes } from "./revision-routes.ts";
import { register, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";
import { statusRoutes } from "./status-routes.ts";
import { usageRoutes } from "./usage-routes.ts";
import { tenantConfigRoutes } from "./tenant-config-routes.ts";
import { tokenRoutes } from "./token-routes.ts";

/** An upload of 16 MiB in one minute is 280 KB/s. */
const REQUEST_TIMEOUT_MS = 60_000;
const HEADERS_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 5000;
const TIMEOUTS = {
  requestTimeout: REQUEST_TIMEOUT_MS,
  headersTimeout: HEADERS_TIMEOUT_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
};

export function adminRoutes(services: Services): RouteSpec[] {
  const routes = [
    ...configRoutes(services),
    ...resourceRoutes(services),
    ...tenantConfigRoutes(services),
    ...pluginRoutes(services),
    ...kernelRoutes(services),
    ...traceRoutes(services),
    ...counterRoutes(services),
    ...endpointRoutes(services),
    ...purgeRoutes(services),
    ...revisionRoutes(services),
    ...tokenRoutes(services),
    ...auditRoutes(services),
    ...backupRoutes(services),
    ...eventRoutes(services),
    ...pluginLogRoutes(services),
    ...entryRoutes(services),
    ...pluginMessageRoutes(services),
    ...statusRoutes(services),
    ...tapRoutes(services),
    ...recordingRoutes(services),
    ...usageRoutes(services),
  ];
  return [...routes, openApiRoute(routes)];
}

/** PEM texts. Clients need a certificate that `ca` has signed. */
export interface AdminTls {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer;
}

export class AdminServer {
  readonly #handler: ReturnType<typeof toNodeHandler>;
  readonly #servers: Server[] = [];
  readonly #streams: readonly { close(): void }[];
  readonly #origins = new WeakMap<Socket, Origin>();

  constructor(services: Services) {
    const { log, events, pluginLogs } = services;
    this.#streams = [events, pluginLogs];
    const app = new H3({ silent: true, onError: (error) => problemResponse(inOurTerms(error), log) });
    register(app, adminRoutes(services), {
      ...services,
      failures: new FailedAttempts(services.now),
      idempotency: new Idempotency(services.store.keptAnswers),
      originOf: (event) => this.#originOf(event),
      certificateOf,
      addressOf: (event) => event.runtime?.node?.req.socket.remoteAddress ?? "",
    });
    app.all("/**", (event) =>
      problemResponse(
        controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail: `nothing is at ${event.url.pathname}` }),
        log,
      ),
    );
    this.#handler = toNodeHandler(app);
  }

  /** Serves on an inherited, listening descriptor. Resolves once it does. */
  async serve(fd: number, origin: "unix" | "tcp", tls?: AdminTls): Promise<void> {
    const listener: RequestListener = (request, response) => void this.#handler(request, response);
    const server =
      tls === undefined
        ? createServer(TIMEOUTS, listener)
        : createSecureServer({ ...TIMEOUTS, ...tls, requestCert: true, minVersion: "TLSv1.2" }, listener);
    const owner = fstatSync(fd).uid;
    server.on("connection", (socket) => {
      this.#origins.set(socket, origin === "unix" && !isOwners(socket, owner) ? "unix-other" : origin);
    });
    server.on("clientError", refuseBytes);
    this.#servers.push(server);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once("error", reject);
    server.listen({ fd }, resolve);
    await promise;
  }

  /** Stops taking connections, and resolves when the answers under way are out. */
  async close(): Promise<void> {
    for (const streams of this.#streams) streams.close();
    const closing = this.#servers.map(
      (server) =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
          server.closeIdleConnections();
        }),
    );
    await Promise.all(closing);
  }

  #originOf(event: H3Event): Origin {
    const socket = event.runtime?.node?.req.socket;
    // Whom we can't place gets no privileges: TCP asks for a token.
    return (socket === undefined ? undefined : this.#origins.get(socket as Socket)) ?? "tcp";
  }
}

/** SHA-256 of the client's certificate, which the handshake has verified; null without TLS. */
function certificateOf(event: H3Event): Uint8Array | null {
  const socket: unknown = event.runtime?.node?.req.socket;
  if (!(socket instanceof TLSSocket) || !socket.authorized) return null;
  return createHash("sha256").update(socket.getPeerCertificate().raw).digest();
}

/** Whether the peer is root, or who has made the listening socket. */
function isOwners(socket: Socket, owner: number): boolean {
  // Node has no other way to the descriptor of a connection (net.Socket has no `fd`).
  const { fd } = (socket as Socket & { readonly _handle?: { readonly fd: number } })._handle ?? { fd: -1 };
  if (fd < 0) return false;
  const uid = peerUid(asFd(fd));
  return uid === 0 || uid === owner;
}

/** What h3 itself refuses before a handler runs, such as a path that is not percent-encoded UTF-8. */
function inOurTerms(error: HTTPError): unknown {
  const refused = error.unhandled !== true && error.status >= 400 && error.status < 500;
  if (refused) return controlError("PENSTOCK_CONTROL_BAD_REQUEST", { detail: error.message, cause: error });
  return error.cause ?? error;
}

/** Bytes that are no HTTP, or too slow: node:http would answer without a body. */
function refuseBytes(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const problem = JSON.stringify(problemOf(controlError("PENSTOCK_CONTROL_BAD_REQUEST", { detail: error.message })));
  const head = [
    "HTTP/1.1 400 Bad Request",
    "content-type: application/problem+json",
    `content-length: ${Buffer.byteLength(problem)}`,
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${problem}`);
}
