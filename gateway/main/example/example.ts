/**
 * The embedded example: what a gateway runs that was told nothing else, with an echo server of its own for an upstream. A
 * later start finds the example in the last good snapshot and brings the same server back to the same address.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Fd } from "#core/brands.ts";
import { DEFAULT_CONFIG_FILE, DEFAULT_MODULE_FILE, DEFAULT_TOKEN, defaultConfig } from "#control/default-config.ts";
import type { DeclareRequest } from "#control/protocol.ts";
import type { Installation } from "#main/confine/installation.ts";
import { Child } from "#main/supervisor/child.ts";
import { boundAddress, listenOn } from "#main/supervisor/listening-socket.ts";
import type { LogSink } from "#main/supervisor/log.ts";
import { spawnChild } from "#main/supervisor/spawn.ts";
import { mainError } from "#core/errors/main.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";
import { close } from "#sys/socket.ts";

/** The first choice; any other port when it is taken. */
const ECHO_ADDRESS = "127.0.0.1:8081";
const STOP_MS = 500;

export class EchoServer {
  readonly address: string;
  readonly #socket: Fd;
  readonly #child: Child;

  private constructor(socket: Fd, child: Child) {
    this.#socket = socket;
    this.#child = child;
    this.address = boundAddress(socket);
  }

  /** Throws PENSTOCK_MAIN_LISTEN. */
  static start(address: string, installation: Installation, privileged: boolean, log: LogSink): EchoServer {
    return EchoServer.serve(listenOn(address, "alone"), installation, privileged, log);
  }

  /** On a listening socket, which is the server's to close from now on. */
  static serve(socket: Fd, installation: Installation, privileged: boolean, log: LogSink): EchoServer {
    const child = new Child(
      "echo",
      {
        start: () =>
          spawnChild({
            kind: "echo",
            installation,
            entry: join(installation.root, "gateway/main/example/echo.ts"),
            data: null,
            files: [],
            privileged,
            ioUring: false,
            args: [],
            descriptors: [socket],
            output: "inherit",
          }),
        onMessage: () => {},
        onDeath: (reason, restartMs) => {
          if (restartMs !== null) log("warn", `the example's echo server ${reason}, started again`);
        },
      },
      log,
    );
    child.start();
    return new EchoServer(socket, child);
  }

  /** For a successor, which gets a copy. */
  get socket(): Fd {
    return this.#socket;
  }

  async stop(): Promise<void> {
    await this.#child.stop(() => this.#child.send({ type: "stop" }), STOP_MS);
    close(this.#socket);
  }
}

/** Where the example in this snapshot has its echo server; null when the snapshot is not the example's. */
export function exampleAddress(snapshot: Snapshot | undefined): string | null {
  const echo = snapshot?.upstreams.find(({ name }) => name === "echo")?.endpoints;
  const tenant = snapshot?.routes.some((route) => route.tenant === "example");
  const address = echo?.length === 1 ? echo[0]?.address : undefined;
  return tenant === true && address?.startsWith("127.0.0.1:") === true ? address : null;
}

/** The echo server on `wanted`, or on whatever port is free. */
export function startEcho(
  wanted: string | null,
  installation: Installation,
  privileged: boolean,
  log: LogSink,
): EchoServer {
  try {
    return EchoServer.start(wanted ?? ECHO_ADDRESS, installation, privileged, log);
  } catch (error) {
    if (wanted !== null) throw error;
    return EchoServer.start("127.0.0.1:0", installation, privileged, log);
  }
}

/** Throws PENSTOCK_MAIN_MODULE when the example's plugin has not been built. */
export function exampleDeclaration(
  installation: Installation,
  echo: string,
  listen: string | undefined,
): Omit<DeclareRequest, "type" | "id"> {
  const file = join(installation.root, DEFAULT_MODULE_FILE);
  if (!existsSync(file)) throw mainError("PENSTOCK_MAIN_MODULE", { detail: `${file}: build it with \`npm start\`` });
  const config = listen === undefined ? { echoAddress: echo } : { echoAddress: echo, listenAddress: listen };
  return {
    author: "penstock run",
    sources: [{ file: DEFAULT_CONFIG_FILE, text: defaultConfig(config) }],
    modules: [{ file: DEFAULT_MODULE_FILE, bytes: readFileSync(file) }],
  };
}

/** What to try next, and what should come of it. `penstock` is how the command line is called here. */
export function exampleGuide(url: string, penstock: string): string {
  return `
Try it:

  curl -i -H 'x-token: ${DEFAULT_TOKEN}' ${url}/hello
      200: the plugin let it pass; the echo upstream shows what reached it, with "x-checked: 1" added
  curl -i ${url}/hello
      401: the plugin answered "no token" itself

Look:

  ${penstock} explain GET ${url}/hello
  ${penstock} get route
  ${penstock} kernel status
  ${penstock} doctor

Write a plugin of your own, test it without a gateway, and upload it:

  ${penstock} plugin new greet && ${penstock} plugin test greet
  ${penstock} plugin build greet && ${penstock} plugin push example/greet@1 greet

Change what runs (routes, filters, steering of a cgroup, blocklists in the kernel) as one revision:

  ${penstock} export > penstock.yaml
  ${penstock} apply -f penstock.yaml

Ctrl-C stops it; a second one does not wait for open connections.
`;
}
