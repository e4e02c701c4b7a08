/** What the parts of an upstream ask of each other. */
import type { UpstreamResource } from "./declaration.ts";
import type { Entry } from "./draft.ts";
import type { Report } from "./references.ts";

export function checkUpstreams(upstreams: readonly Entry<UpstreamResource>[], report: Report): void {
  for (const { pointer, value } of upstreams) {
    checkBalancer(pointer, value, report);
    checkHealthCheck(pointer, value, report);
    checkLimits(pointer, value, report);
    if (value.endpoints.length > 0 && value.endpoints.every((one) => one.drain)) {
      report(`${pointer}/endpoints`, "PENSTOCK_CONFIG_VALUE", "every endpoint drains: none is left for requests");
    }
    const outliers = value.outlierDetection;
    if (outliers !== undefined && outliers.maxEjectionMs < outliers.baseEjectionMs) {
      const detail = `an ejection of at most ${outliers.maxEjectionMs} ms is shorter than the first, ${outliers.baseEjectionMs} ms`;
      report(`${pointer}/outlierDetection/maxEjectionMs`, "PENSTOCK_CONFIG_VALUE", detail);
    }
  }
}

function checkBalancer(pointer: string, { balancer, slowStartMs }: UpstreamResource, report: Report): void {
  const hashes = balancer.type === "ring-hash" || balancer.type === "maglev";
  if (hashes && balancer.key === undefined) {
    report(`${pointer}/balancer`, "PENSTOCK_CONFIG_REQUIRED", `${balancer.type} needs a \`key\` to choose by`);
  }
  if (!hashes && balancer.key !== undefined) {
    report(
      `${pointer}/balancer/key`,
      "PENSTOCK_CONFIG_VALUE",
      `${balancer.type} chooses by no key; ring-hash and maglev do`,
    );
  }
  if (hashes && slowStartMs > 0) {
    const detail = `${balancer.type} can't start slowly: keys would move to an endpoint and back`;
    report(`${pointer}/slowStartMs`, "PENSTOCK_CONFIG_VALUE", detail);
  }
}

function checkHealthCheck(pointer: string, { healthCheck: check }: UpstreamResource, report: Report): void {
  if (check === undefined) return;
  for (const field of ["path", "host", "statuses"] as const) {
    if (check.type === "http" || check[field] === undefined) continue;
    report(`${pointer}/healthCheck/${field}`, "PENSTOCK_CONFIG_VALUE", `a check of type tcp has no ${field}`);
  }
  const [low = 0, high = 599] = check.statuses ?? [];
  if (low > high) {
    report(`${pointer}/healthCheck/statuses`, "PENSTOCK_CONFIG_VALUE", `no status is from ${low} to ${high}`);
  }
  if (check.timeoutMs > check.intervalMs) {
    const detail = `a check that may take ${check.timeoutMs} ms does not fit into an interval of ${check.intervalMs} ms`;
    report(`${pointer}/healthCheck/timeoutMs`, "PENSTOCK_CONFIG_VALUE", detail);
  }
}

function checkLimits(pointer: string, { limits }: UpstreamResource, report: Report): void {
  if (limits === undefined || limits.queue === 0 || limits.connections > 0 || limits.requests > 0) return;
  report(`${pointer}/limits/queue`, "PENSTOCK_CONFIG_VALUE", "nothing waits without `connections` or `requests`");
}
