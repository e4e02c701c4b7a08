/**
 * What each kind of child keeps. Pure: the supervisor computes a policy, the launcher applies it.
 *
 *     child     files                      TCP            bpf(2)         io_uring
 *     worker    code and granted           connect        elements only  yes, unless PENSTOCK_IO=epoll
 *               directories, read
 *     control   code, resolver, read;      connect        no             no
 *               its data directory, all
 *     builder   code, read                 none           no             no
 *     echo      code, read                 as inherited   no             no
 *
 * None can execute, fork, signal or trace another process, or listen on a TCP port: listening sockets come from the supervisor.
 * A worker may take a local address to connect from (bind(2) with port 0), and has no listen(2).
 */
import { join } from "node:path";
import type { Confinement } from "#sys/confine.ts";
import type { FileAccess } from "#sys/landlock.ts";
import type { Installation } from "./installation.ts";

export type ChildKind = "worker" | "control" | "builder" | "echo";

export interface PolicyInput {
  readonly kind: ChildKind;
  readonly installation: Installation;
  /** The module the child runs: may lie outside the installation's own folders, as a test's does. */
  readonly entry: string;
  /** The data directory, for `control`. */
  readonly data: string | null;
  /** Directories whose files a worker may read, absolute and free of links. */
  readonly files: readonly string[];
  /** Is there root to give up? */
  readonly privileged: boolean;
  readonly ioUring: boolean;
}

/** nobody and nogroup on Debian; on any Linux the overflow ids, which own nothing. */
export const UNPRIVILEGED = { uid: 65534, gid: 65534 } as const;

/** Compiled code, made by the set-up (see gateway/main/setup/warm.ts). */
export const COMPILE_CACHE = ".node/compile-cache";
/** Folders of the installation that hold code. Not the whole of it: a checkout also holds the data directory and git's. */
const CODE = [COMPILE_CACHE, "gateway", "bpf", "plugins", "sdk", "node_modules", "package.json"];
/** Shared libraries, where merged and where split, and the table the dynamic linker finds them by. */
const LIBRARIES = ["/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache"];
/** What V8 and libuv size themselves by; time zones; what OpenSSL refuses to start without, when it is there. */
const MACHINE = ["/proc/self", "/proc/meminfo", "/proc/stat", "/proc/cpuinfo", "/sys/devices/system/cpu"];
const MACHINE_FILES = ["/usr/share/zoneinfo", "/etc/localtime", "/etc/ssl/openssl.cnf"];
/** Name resolution and the certificates that outgoing TLS trusts. */
const RESOLVER = [
  "/etc/resolv.conf",
  "/etc/hosts",
  "/etc/nsswitch.conf",
  "/etc/gai.conf",
  "/etc/ssl",
  "/usr/share/ca-certificates",
];

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
/** getifaddrs(3) asks the kernel by it. */
const AF_NETLINK = 16;

/** Of a rule for bind(2): one that the kernel chooses. */
const ANY_PORT = 0;

const MIB = 1024 * 1024;

export function policyFor(input: PolicyInput): Confinement {
  const { kind, installation } = input;
  const own = kind === "control" && input.data !== null ? [input.data] : [];
  return {
    identity: input.privileged ? UNPRIVILEGED : null,
    reachable: [installation.root, join(installation.node, ".."), ...own, ...(kind === "worker" ? input.files : [])],
    landlock: { files: files(input, own), bindPorts: kind === "worker" ? [ANY_PORT] : [], connect: kind !== "builder" },
    seccomp: {
      bpfMaps: kind === "worker",
      ioUring: kind === "worker" && input.ioUring,
      listen: kind !== "worker",
      socketFamilies: socketFamilies(kind),
      execute: true,
    },
    limits: kind === "builder" ? { coreBytes: 0, dataBytes: 2048 * MIB } : { coreBytes: 0 },
  };
}

function files(input: PolicyInput, own: readonly string[]): Confinement["landlock"]["files"] {
  const { kind, installation, entry } = input;
  const rules: { path: string; access: FileAccess }[] = [
    // The launcher still has to execute it; so does the dynamic linker, which the kernel opens for execution.
    { path: installation.node, access: "execute" },
    { path: LINKER[process.arch] ?? "/lib/ld-linux.so.2", access: "execute" },
    { path: "/dev/null", access: "device" },
  ];
  const read = [
    ...CODE.map((name) => join(installation.root, name)),
    entry,
    ...LIBRARIES,
    ...MACHINE,
    ...MACHINE_FILES,
  ];
  if (kind === "control") read.push(...RESOLVER);
  // Names of endpoints: whom to ask, and those that need no asking.
  if (kind === "worker") read.push(...input.files, "/etc/resolv.conf", "/etc/hosts");
  for (const path of read) rules.push({ path, access: "read" });
  for (const path of own) rules.push({ path, access: "own" });
  return rules;
}

const LINKER: Readonly<Partial<Record<string, string>>> = {
  x64: "/lib64/ld-linux-x86-64.so.2",
  arm64: "/lib/ld-linux-aarch64.so.1",
};

function socketFamilies(kind: ChildKind): number[] {
  switch (kind) {
    case "builder":
      return [];
    case "control":
      return [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK];
    case "worker":
    case "echo":
      return [AF_UNIX, AF_INET, AF_INET6];
  }
}
