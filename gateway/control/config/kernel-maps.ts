/** Shared maps: which types, keys and values go together, and how many bytes they have. */
import type { MapSpec } from "#snapshot/snapshot.ts";
import type { MapResource } from "./declaration.ts";
import type { Draft } from "./draft.ts";
import type { Report } from "./references.ts";

export function checkMaps(draft: Draft, report: Report): void {
  for (const { pointer, value: map } of draft.maps) {
    if ((map.type === "lpm-trie") !== (map.key === "ip-prefix")) {
      report(
        `${pointer}/key`,
        "PENSTOCK_CONFIG_VALUE",
        "type lpm-trie and key ip-prefix go together, and with no other",
      );
    }
    checkSize(`${pointer}/keyBytes`, map.key, map.keyBytes, report);
    checkSize(`${pointer}/valueBytes`, map.value, map.valueBytes, report);
  }
}

/** A limit's map must be able to hold buckets of clients. */
export function checkLimits(draft: Draft, report: Report): void {
  for (const { pointer, value: route } of draft.suspects) {
    for (const [index, filter] of route.filters.entries()) {
      if (!("builtin" in filter) || filter.builtin !== "rate-limit" || filter.config.map === undefined) continue;
      const { key, map: name } = filter.config;
      const place = `${pointer}/filters/${index}/config`;
      if (key !== "client-ip") {
        report(
          `${place}/key`,
          "PENSTOCK_CONFIG_VALUE",
          "a limit in a map counts by client-ip: leave out `map`, or this key",
        );
      }
      const map = draft.maps.find((one) => one.value.name === name)?.value;
      if (map === undefined || (map.key === "ip" && map.value === "counter")) continue;
      const detail = `map "${name}" has key ${map.key} and value ${map.value}; a limit needs ip and counter`;
      report(`${place}/map`, "PENSTOCK_CONFIG_VALUE", detail);
    }
  }
}

function checkSize(pointer: string, kind: string, bytes: number | undefined, report: Report): void {
  if (kind === "bytes" && bytes === undefined) {
    report(pointer, "PENSTOCK_CONFIG_REQUIRED", "`bytes` needs to know how many");
  } else if (kind !== "bytes" && bytes !== undefined) {
    report(pointer, "PENSTOCK_CONFIG_VALUE", `${kind} has its own size; remove the field`);
  }
}

/** u32 prefix length and 16 address bytes; 16 address bytes; or as many as declared. */
const KEY_BYTES = { "ip-prefix": 20, ip: 16 } as const;
const COUNTER_BYTES = 8;

export function compileMap(map: MapResource): MapSpec {
  return {
    name: map.name,
    type: map.type,
    key: map.key,
    keyBytes: map.key === "bytes" ? (map.keyBytes ?? 0) : KEY_BYTES[map.key],
    value: map.value,
    valueBytes: map.value === "bytes" ? (map.valueBytes ?? 0) : COUNTER_BYTES,
    maxEntries: map.maxEntries,
  };
}
