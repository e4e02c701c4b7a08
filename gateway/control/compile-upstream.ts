/** An upstream as it was declared to one as the data plane has it: defaults filled in, conditions taken apart. Pure. */
import type { BalancerSpec, HealthCheckSpec, RetrySpec, UpstreamSpec } from "#snapshot/snapshot.ts";
import type { UpstreamResource } from "./config/declaration.ts";

/** What is not asked for is left out, and costs nothing there. */
export function compileUpstream(one: UpstreamResource, name: string): UpstreamSpec {
  const { limits } = one;
  return {
    name,
    endpoints: one.endpoints.map(({ address, weight, priority, drain }) => ({
      address,
      weight,
      ...(priority === 0 ? {} : { priority }),
      ...(drain ? { drain } : {}),
    })),
    timeouts: { ...one.timeouts },
    idleConnectionsMax: one.idleConnectionsMax,
    ...(one.proxyProtocol === undefined ? {} : { proxyProtocol: one.proxyProtocol }),
    ...compileBalancer(one.balancer),
    ...(one.healthCheck === undefined ? {} : { healthCheck: compileHealthCheck(one.healthCheck) }),
    ...(one.outlierDetection === undefined ? {} : { outlierDetection: { ...one.outlierDetection } }),
    ...(one.slowStartMs === 0 ? {} : { slowStartMs: one.slowStartMs }),
    ...(limits === undefined
      ? {}
      : {
          limits: {
            connectionsMax: limits.connections,
            requestsMax: limits.requests,
            queueMax: limits.queue,
            queueMs: limits.queueMs,
          },
        }),
    ...(one.retry === undefined ? {} : { retry: compileRetry(one.retry) }),
  };
}

/** Round robin is what there is without a word. */
function compileBalancer({ type, key, sticky }: UpstreamResource["balancer"]): { balancer?: BalancerSpec } {
  if (type === "round-robin" && sticky === undefined) return {};
  return { balancer: { type, key: key ?? "", ...(sticky === undefined ? {} : { sticky: { ...sticky } }) } };
}

function compileHealthCheck(check: NonNullable<UpstreamResource["healthCheck"]>): HealthCheckSpec {
  const [statusMin = 200, statusMax = 399] = check.statuses ?? [];
  const { type, intervalMs, timeoutMs, unhealthyThreshold, healthyThreshold } = check;
  const { path = "/", host = "" } = check;
  return { type, path, host, statusMin, statusMax, intervalMs, timeoutMs, unhealthyThreshold, healthyThreshold };
}

function compileRetry({ on, hedging, ...retry }: NonNullable<UpstreamResource["retry"]>): RetrySpec {
  const statuses = new Set<number>();
  for (const reason of on) {
    if (reason === "5xx") for (let status = 500; status < 600; status++) statuses.add(status);
    else if (/^\d/.test(reason)) statuses.add(Number(reason));
  }
  return {
    ...retry,
    hedgeAfterMs: hedging?.afterMs ?? 0,
    onConnectFailure: on.includes("connect-failure"),
    onReset: on.includes("reset"),
    onTimeout: on.includes("timeout"),
    onStatus: [...statuses].toSorted((a, b) => a - b),
  };
}
