/** `explain`: asked of one worker, since what counts is what a worker would do. */
import type { ExplainedRequest, ExplainReply } from "#control/protocol.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";
import { kernelWay } from "./kernel-way.ts";
import type { Deployment } from "./deployment.ts";
import type { Workers } from "./workers.ts";

export async function explain(
  request: ExplainedRequest,
  workers: Workers,
  deployment: Deployment,
): Promise<ExplainReply["result"]> {
  const worker = workers.all.find((one) => one.state === "ready");
  const snapshot = deployment.snapshot;
  if (worker === undefined || snapshot === null) return { ok: false, detail: "no worker serves at the moment" };
  if (!URL.canParse(request.url)) return { ok: false, detail: `not an absolute URL: ${request.url}` };
  const url = new URL(request.url);
  const connects = request.method === "CONNECT";
  const listener = request.listener ?? (connects ? (snapshot.listeners[0]?.name ?? "") : listenerAt(snapshot, url));
  try {
    const result = await worker.explain({
      listener: listener === "" ? null : listener,
      method: request.method,
      host: connects ? authorityOf(url) : url.host,
      path: url.pathname + url.search,
      headers: request.headers,
    });
    const { route, tenant, filters, upstreams, reason } = result;
    return {
      ok: true,
      explanation: {
        revision: worker.revision,
        listener,
        route: route === null ? null : { tenant: tenant ?? "", name: route },
        filters,
        kernel: kernelWay(snapshot, listener),
        action: route === null ? refusalOf(snapshot, listener, connects) : actionOf(upstreams),
        reasons: reason.split("\n"),
      },
    };
  } catch (error) {
    return { ok: false, detail: error instanceof Error ? error.message : String(error) };
  }
}

/** Where the URL's port is the listener's, that one; else the first. */
function listenerAt({ listeners }: Snapshot, { port, protocol }: URL): string {
  const wanted = port === "" ? (protocol === "https:" ? "443" : "80") : port;
  const found = listeners.find(({ address }) => address.endsWith(`:${wanted}`));
  return (found ?? listeners[0])?.name ?? "";
}

/** What a CONNECT names: always with a port. */
function authorityOf({ hostname, port, protocol }: URL): string {
  return `${hostname}:${port === "" ? (protocol === "https:" ? "443" : "80") : port}`;
}

/** What becomes of what no route takes. */
function refusalOf({ listeners, routes }: Snapshot, named: string, connects: boolean): string {
  const listener = listeners.find((one) => one.name === named) ?? listeners[0];
  if (listener === undefined || listener.protocol === "http") {
    const index = listener === undefined ? -1 : listeners.indexOf(listener);
    const offered = routes.some((one) => one.connect !== undefined && one.listeners.includes(index));
    return connects && !offered ? "local reply 501" : "local reply 404";
  }
  return listener.protocol === "udp" ? "dropped" : "reset";
}

function actionOf(upstreams: readonly string[]): string {
  return upstreams[0] === "original" ? "original destination" : `upstream ${upstreams.join(", ")}`;
}
