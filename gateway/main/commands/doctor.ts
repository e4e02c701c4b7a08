/** `penstock doctor`: what this kernel, container and user allow, and what the gateway does instead. */
import type { Output, Verb } from "#main/cli/verb.ts";
import { UsageError } from "#main/cli/verb.ts";
import type { Finding } from "#main/doctor/finding.ts";
import { examine } from "#main/doctor/findings.ts";

const TITLES: Readonly<Record<Finding["area"], string>> = {
  system: "System",
  io: "Data plane",
  confinement: "Confinement of the gateway's own processes",
  kernel: "Kernel part",
};

export const doctor: Verb = {
  summary: "what this kernel, container and user allow, and what is used instead",
  usage: ["doctor"],
  examples: ["doctor", "doctor --json"],
  options: {},
  run: async ({ positionals }, out) => {
    if (positionals.length > 0) throw new UsageError(`doctor takes no ${String(positionals[0])}`);
    const findings = examine();
    if (out.json) out.print(JSON.stringify({ findings }));
    else print(findings, out);
    return 0;
  },
};

function print(findings: readonly Finding[], out: Output): void {
  const width = Math.max(...findings.map(({ feature }) => feature.length));
  for (const area of Object.keys(TITLES) as Finding["area"][]) {
    out.print(`${TITLES[area]}`);
    for (const { feature, available, detail, instead } of findings.filter((one) => one.area === area)) {
      out.print(`  ${available ? "yes" : "no "}  ${feature.padEnd(width)}  ${detail}`);
      if (!available && instead !== "") out.print(`       ${"".padEnd(width)}  instead: ${instead}`);
    }
    out.print("");
  }
}
