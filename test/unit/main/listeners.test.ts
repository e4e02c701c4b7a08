import { afterEach, expect, it } from "vitest";
import { Listeners } from "#main/supervisor/listeners.ts";
import type { ListenerSpec } from "#snapshot/snapshot.ts";

const open: Listeners[] = [];
afterEach(() => {
  for (const listeners of open.splice(0)) listeners.close();
});

function made(): Listeners {
  const listeners = new Listeners(2);
  open.push(listeners);
  return listeners;
}

const at = (name: string, address: string, protocol: ListenerSpec["protocol"] = "http"): ListenerSpec => ({
  name,
  address,
  protocol,
  transparent: false,
});
const tags = (listeners: Listeners, spec: ListenerSpec): number[] =>
  [0, 1].flatMap((slot) => listeners.grants([spec], slot).grants.map(({ fdTag }) => fdTag));

it("of port 0 keep their sockets when the very port they got is asked for, and when that is not committed", () => {
  const listeners = made();
  const any = at("web", "127.0.0.1:0");
  expect(listeners.prepare([any])).toBeNull();
  listeners.commit();
  const before = tags(listeners, any);
  const given = at("web", listeners.addresses([any])[0]?.address ?? "");
  expect(listeners.prepare([given])).toBeNull();
  listeners.abort();
  expect(tags(listeners, any)).toEqual(before);
  expect(listeners.prepare([given])).toBeNull();
  expect(tags(listeners, given)).toEqual(before);
  listeners.commit();
  expect(tags(listeners, given)).toEqual(before);
  // And they are open: the address is taken for anybody else.
  expect(made().prepare([given])).toMatchObject({ index: 0, error: expect.stringContaining("EADDRINUSE") });
});

it("can't have the port that another one stays on, nor the other transport's", () => {
  const listeners = made();
  const any = at("web", "127.0.0.1:0");
  listeners.prepare([any]);
  listeners.commit();
  const given = listeners.addresses([any])[0]?.address ?? "";
  expect(listeners.prepare([any, at("other", given)])).toMatchObject({ index: 1 });
  const before = tags(listeners, any);
  const datagrams = at("dns", given, "udp");
  expect(listeners.prepare([datagrams])).toBeNull();
  expect(tags(listeners, datagrams)).not.toEqual(before);
});
