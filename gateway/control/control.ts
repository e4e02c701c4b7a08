/** The control process put together: store, link, changes, admin API. `main.ts` gives it the outside world. */
import { join } from "node:path";
import { hashToken, newToken } from "./admin/identity.ts";
import { AdminServer, type AdminTls } from "./admin/server.ts";
import type { Services } from "./admin/services.ts";
import { Changes } from "./changes.ts";
import { declare } from "./declare.ts";
import { Events } from "./events.ts";
import { ServiceChecks } from "./health/service-checks.ts";
import type { Logger } from "./logger.ts";
import { PluginLogs } from "./plugins/logs.ts";
import type { DeclareRequest } from "./protocol.ts";
import { writeFileDurably } from "./store/files.ts";
import { SqliteStore } from "./store/sqlite-store.ts";
import type { Store } from "./store/store.ts";
import { Trials } from "./trials.ts";
import { SupervisorLink, type Channel } from "./supervisor-link.ts";
import { Uploads } from "./uploads.ts";

export interface ControlOptions {
  readonly dataDir: string;
  readonly unixFd: number;
  /** Undefined: no TCP. */
  readonly tcpFd: number | undefined;
  /** Of the TCP socket. Undefined: in the clear, and for loopback only. */
  readonly tls?: AdminTls | undefined;
  readonly log: Logger;
}

export class Control {
  readonly #store: Store;
  readonly #changes: Changes;
  readonly #uploads: Uploads;
  readonly #link: SupervisorLink;
  readonly #admin: AdminServer;
  readonly #checks: ServiceChecks;
  readonly #trials: Trials;
  readonly #options: ControlOptions;
  /** Settles when the workers have the current revision: what is declared at start comes after it. */
  #booted: Promise<unknown> = Promise.resolve();
  #stopping = false;

  /** `stopped` is called once, when there is nothing left to do. */
  constructor(options: ControlOptions, channel: Channel, stopped: () => void) {
    const { dataDir, log } = options;
    this.#options = options;
    const events = new Events(
      {
        auditRows: (after, limit) => this.#store.auditRows(after, limit),
        status: () => this.#link.status(),
      },
      log,
    );
    this.#store = new SqliteStore(dataDir, Date.now, () => events.changed());
    ensureFirstToken(this.#store, dataDir, log);
    this.#checks = new ServiceChecks((verdict) => {
      const { healthy, ...whose } = verdict;
      log[healthy ? "info" : "warn"](whose, healthy ? "endpoint is healthy" : "endpoint is not healthy");
      this.#link.health(verdict);
    });
    this.#link = new SupervisorLink(channel, log, {
      declare: (request) => void this.#declare(request),
      applied: ({ kernel }) => this.#checks.follow(kernel.services ?? []),
      shutdown: () => void this.stop().then(stopped),
    });
    this.#changes = new Changes(this.#store, this.#link, log, dataDir);
    this.#trials = new Trials((request) => this.#changes.change(request), log);
    this.#changes.onApplied = (before, after) => this.#trials.applied(before, after);
    this.#uploads = new Uploads(this.#store, this.#link);
    const services: Services = {
      store: this.#store,
      link: this.#link,
      changes: this.#changes,
      uploads: this.#uploads,
      events,
      pluginLogs: new PluginLogs(
        {
          lines: (query) => this.#link.lines(query),
          sourceMap: (tenant, plugin) => this.#sourceMapOf(tenant, plugin),
        },
        log,
      ),
      log,
      dataDir,
      now: Date.now,
    };
    this.#admin = new AdminServer(services);
  }

  async start(): Promise<void> {
    const { unixFd, tcpFd, tls, log } = this.#options;
    await this.#admin.serve(unixFd, "unix");
    if (tcpFd !== undefined) await this.#admin.serve(tcpFd, "tcp", tls);
    const { revision } = this.#changes.current();
    this.#link.ready(revision);
    log.info({ revision }, "control is ready");
    this.#booted = this.#boot();
    await this.#booted;
  }

  async #boot(): Promise<void> {
    await this.#changes.boot();
    await this.#trials.takeBackAll(this.#changes.current().content.declaration);
  }

  async #declare(request: DeclareRequest): Promise<void> {
    await this.#booted;
    this.#link.declared(await declare(request, this.#changes, this.#uploads));
  }

  /** `plugin`: `token-check@1`, as routes name it. */
  #sourceMapOf(tenant: string, plugin: string): string | undefined {
    const { plugins = [] } = this.#changes.current().content.declaration;
    const version = plugins.find((one) => one.tenant === tenant && `${one.name}@${one.version}` === plugin);
    return version?.digest === undefined ? undefined : this.#store.sourceMap(version.digest);
  }

  /** The supervisor is gone: what waits for it fails, and the rest is finished. */
  async disconnected(): Promise<void> {
    this.#link.abandon();
    await this.stop();
  }

  /** Finishes what is under way: no answer is cut off, no change left half made. */
  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#checks.stop();
    this.#trials.stop();
    await this.#admin.close();
    await this.#changes.idle();
    this.#store.close();
  }
}

/** Made once: when it is revoked, it isn't made again. The file first, then the row: a start that was cut off in between makes another token. */
function ensureFirstToken(store: Store, dataDir: string, log: Logger): void {
  if (store.everHadTokens()) return;
  const token = newToken();
  const path = join(dataDir, "admin.token");
  writeFileDurably(path, `${token}\n`, 0o600);
  const first = { id: "first-start", name: "first-start", scopes: ["admin"], createdMs: Date.now(), expiresMs: 0 };
  store.addToken(first, hashToken(token), "control");
  log.info({ path }, "an admin token was written");
}
