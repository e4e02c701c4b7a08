/** What the programs in the kernel cost: a packet, a connect, a start; and a path with the balancer against one without. */
import type { Bench } from "#test/bench/bench.ts";
import { absolute, comparison, type Figure } from "#test/bench/figures.ts";
import { loadAll } from "#test/bench/kernel/loading.ts";
import { steeredConnect } from "#test/bench/kernel/steered-connect.ts";
import { balancerRuns, firewallRuns } from "#test/bench/kernel/test-runs.ts";
import { traffic } from "#test/bench/kernel/traffic.ts";
import { textTable } from "#test/bench/text-table.ts";
import { Unavailable } from "#test/bench/unavailable.ts";
import { requireKernel } from "#bpf/manager/probe.ts";
import { BalancedNetwork } from "#test/support/balanced-network.ts";
import { PORT } from "#test/support/balancer-rig.ts";
import { removeLeftovers } from "#test/support/netns.ts";

const PACKET_NS_MAX = 150;
const NEW_FLOW_NS_MAX = 450;
const STEERED_MAX = 1.15;
const LOADING_MS_MAX = 150;
/** Test runs are short; their least is looked for. */
const RUNS_PER_ROUND = 20;

const ROUTED = "the same path, routed";

/** Namespaces, cgroups and programs are needed, and so is root. */
function requireAll(): void {
  try {
    requireKernel();
  } catch (error) {
    throw new Unavailable(error instanceof Error ? error.message : String(error));
  }
  if (process.getuid?.() !== 0) throw new Unavailable("it makes network namespaces, which only root may");
}

export const kernel: Bench = async (_scope, { rounds, progress }) => {
  requireAll();
  removeLeftovers();
  const figures: Figure[] = [];
  const add = (figure: string, ours: number, bound: number | null): void => {
    figures.push(absolute("kernel", figure, ours, bound));
  };
  const runs = rounds * RUNS_PER_ROUND;
  progress("loading");
  const { ms, objects } = loadAll(rounds);
  progress("firewall");
  const firewall = firewallRuns(runs);
  add("firewall_10k_prefixes_ipv4_denied_ns", firewall.deniedNs, PACKET_NS_MAX);
  add("firewall_10k_prefixes_ipv6_denied_ns", firewall.denied6Ns, PACKET_NS_MAX);
  add("firewall_10k_prefixes_passed_ns", firewall.passedNs, PACKET_NS_MAX);
  const network = new BalancedNetwork();
  try {
    for (const family of ["IPv4", "IPv6"] as const) {
      progress(`balancer, ${family}`);
      const { knownNs, newNs } = balancerRuns(network, family, runs);
      add(`balancer_${family.toLowerCase()}_existing_flow_ns`, knownNs, PACKET_NS_MAX);
      add(`balancer_${family.toLowerCase()}_new_flow_ns`, newNs, NEW_FLOW_NS_MAX);
    }
    add("load_all_programs_ms", ms, LOADING_MS_MAX);
    progress("steered connects");
    const { steeredUs, directUs } = await steeredConnect();
    figures.push(comparison("kernel", "steered_connect_us", steeredUs, "direct", directUs, STEERED_MAX));
    progress("traffic");
    await network.serve("one", PORT);
    const { dsr, nat, routed } = await traffic(network, rounds);
    for (const [way, { tcpMs, udpUs }] of Object.entries({ dsr, nat })) {
      figures.push(comparison("kernel", `tcp_${way}_ms_per_mib_echoed`, tcpMs, ROUTED, routed.tcpMs, null));
      figures.push(comparison("kernel", `udp_${way}_us_per_round_trip`, udpUs, ROUTED, routed.udpUs, null));
    }
  } finally {
    network.destroy();
  }
  const rows = figures.map(({ figure, ours, theirs, ratio, bound, ok }) => [
    figure,
    `${ours}`,
    theirs === null ? "" : `${theirs}`,
    ratio === null ? "" : `${ratio}`,
    bound === null ? "" : `${bound}`,
    bound === null ? "" : ok ? "ok" : "MISS",
  ]);
  const notes = `${objects} objects loaded; test runs: the least of ${runs}; the peer of a path is the same path without the balancer`;
  return { figures, text: `${textTable(["", "ours", "theirs", "ratio", "bound", ""], rows)}\n${notes}` };
};
