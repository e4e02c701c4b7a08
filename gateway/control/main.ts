/**
 * The control process. Started by the supervisor with a channel and listening sockets (`protocol.ts`); unprivileged, so
 * it opens nothing but its data folder.
 */
import { closeSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { AdminTls } from "./admin/server.ts";
import { collectAfterStart } from "#core/collect.ts";
import { Control } from "./control.ts";
import { createLog, isLogLevel } from "#observe/log.ts";
import type { ControlToSupervisor, SupervisorToControl } from "./protocol.ts";

const { values } = parseArgs({
  options: {
    data: { type: "string" },
    "unix-fd": { type: "string" },
    "tcp-fd": { type: "string" },
    /** Certificate, key and the clients' authority of the TCP socket, as files to be read. */
    "tls-fds": { type: "string" },
    "log-level": { type: "string", default: "info" },
    "log-format": { type: "string", default: "json" },
  },
});

function fail(message: string): never {
  process.stderr.write(`penstock control: ${message}\n`);
  process.exit(2);
}

function descriptor(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  return /^\d{1,6}$/.test(text) ? Number(text) : fail(`"${text}" is no descriptor`);
}

/** `CERT,KEY,CA`: read to the end and closed, since nothing else may be opened here. */
function adminTls(fds: string): AdminTls {
  const [cert, key, ca] = fds.split(",").map((text) => {
    const fd = descriptor(text) ?? fail(`"${fds}" are no descriptors`);
    const bytes = readFileSync(fd);
    closeSync(fd);
    return bytes;
  });
  if (cert === undefined || key === undefined || ca === undefined) fail("--tls-fds takes three descriptors");
  return { cert, key, ca };
}

const level = values["log-level"];
const log = createLog(
  "control",
  isLogLevel(level) ? level : fail(`"${level}" is no log level`),
  values["log-format"] === "text" ? "text" : "json",
  (line) => process.stderr.write(line),
);
const dataDir = values.data ?? fail("--data is missing");
const unixFd = descriptor(values["unix-fd"]) ?? fail("--unix-fd is missing");
const tls = values["tls-fds"] === undefined ? undefined : adminTls(values["tls-fds"]);
const send = process.send?.bind(process) ?? fail("the supervisor starts this process, with a channel to itself");

// The database, its log and whatever else is made: for this user alone.
process.umask(0o077);

const control = new Control(
  { dataDir, unixFd, tcpFd: descriptor(values["tcp-fd"]), tls, log },
  {
    send: (message: ControlToSupervisor, done) => send(message, undefined, undefined, done),
    onMessage: (listener) => process.on("message", (message) => listener(message as SupervisorToControl)),
  },
  () => process.exit(0),
);

// Without a supervisor nothing can be applied, and the next one starts a new control process.
process.on("disconnect", () => void control.disconnected().then(() => process.exit(0)));
// A terminal's Ctrl-C goes to the whole group; when to stop is the supervisor's decision.
process.on("SIGINT", () => log.debug({}, "left to the supervisor"));

await control.start();
collectAfterStart();
