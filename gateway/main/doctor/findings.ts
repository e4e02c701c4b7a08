/** What this machine, container and user allow, and what the gateway does instead where they don't. */
import { existsSync, readFileSync } from "node:fs";
import { arch, availableParallelism, release, totalmem } from "node:os";
import { probeKernel } from "#bpf/manager/probe.ts";
import { CAPABILITIES, effectiveCapabilities } from "#sys/capabilities.ts";
import { landlockAbi } from "#sys/landlock.ts";
import { getLimit } from "#sys/process.ts";
import { seccompArchitecture, seccompAvailable } from "#sys/seccomp.ts";
import { isPrivileged } from "#main/commands/privileges.ts";
import { finding } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { probeIo } from "./io.ts";

/** Each row tries the real thing, attached to nothing. Takes some tenths of a second; never throws. */
export function examine(): Finding[] {
  const kernel = probeKernel().map((probe): Finding => ({ area: "kernel", ...probe }));
  return [...system(), ...probeIo(), ...confinement(), ...kernel];
}

/** Node's major version that everything is tested on. */
const NODE_MAJOR = 26;
const OPEN_FILES_ENOUGH = 65_536;

function system(): Finding[] {
  const major = Number(process.versions.node.split(".")[0]);
  const { soft, hard } = getLimit("openFiles");
  return [
    finding("system", "Node", major >= NODE_MAJOR, `${process.version}, ${arch()}`, "nothing: it does not start"),
    finding(
      "system",
      "Linux",
      true,
      `${release()}, ${availableParallelism()} CPUs, ${Math.round(totalmem() / 2 ** 20)} MiB${container()}`,
      "",
    ),
    finding(
      "system",
      "open files",
      hard >= OPEN_FILES_ENOUGH || effectiveCapabilities().has("CAP_SYS_RESOURCE"),
      `${soft}, may be raised to ${effectiveCapabilities().has("CAP_SYS_RESOURCE") ? "any number" : hard}`,
      `about ${Math.floor(hard / 2)} connections at a time`,
    ),
    finding(
      "system",
      "IPv6",
      existsSync("/proc/net/if_inet6"),
      existsSync("/proc/net/if_inet6") ? "on" : "switched off",
      "IPv4 only",
    ),
  ];
}

/** Empty outside of one. */
function container(): string {
  const signs = ["/.dockerenv", "/run/.containerenv"].filter(existsSync);
  const environment = readable("/proc/1/environ") ?? "";
  return signs.length > 0 || environment.includes("container=") ? ", in a container" : "";
}

function readable(file: string): string | null {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return null;
  }
}

function confinement(): Finding[] {
  const abi = landlockAbi();
  const held = effectiveCapabilities();
  const missing = Object.keys(CAPABILITIES).filter((name) => !(held as ReadonlySet<string>).has(name));
  const architecture = seccompArchitecture();
  return [
    finding(
      "confinement",
      "capabilities",
      missing.length === 0,
      missing.length === 0 ? "all that are of use" : `without ${missing.join(", ")}`,
      "the rows below say what follows",
    ),
    finding(
      "confinement",
      "own user for children",
      isPrivileged(),
      isPrivileged() ? "65534, without any capability" : `user ${process.getuid?.() ?? "unknown"} can't become another`,
      "children run as this user",
    ),
    finding(
      "confinement",
      "Landlock",
      abi >= 6,
      abi === 0 ? "not in this kernel, or not in its list of modules" : `version ${abi}`,
      abi === 0 ? "children reach what their user may" : `no ${abi < 4 ? "TCP and " : ""}signal scopes`,
    ),
    finding(
      "confinement",
      "seccomp",
      seccompAvailable(),
      architecture === null
        ? `no table for ${process.arch}`
        : seccompAvailable()
          ? `filters, ${architecture}`
          : "no filters",
      "children may make any system call",
    ),
  ];
}
