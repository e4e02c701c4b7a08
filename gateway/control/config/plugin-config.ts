/**
 * A plugin's configuration, as the two kinds of plugins take it: keys with texts, and one text. The second is written to the
 * snapshot only for plugins that take it, and where it says more than the first: numbers and truth are texts there.
 */
import type { PluginFilterSpec, VmSpec } from "#snapshot/snapshot.ts";

type Config = string | Readonly<Record<string, unknown>>;

interface DeclaredVm {
  readonly rootId: string;
  readonly id: string;
  readonly configuration: Config;
  readonly clusters: Readonly<Record<string, string>>;
}

export function compilePluginConfig(
  config: Config,
  vm: DeclaredVm | undefined,
  foreign: boolean,
): Pick<PluginFilterSpec, "config" | "configText" | "vm"> {
  const texts = typeof config === "string" ? {} : sorted(config, textOf);
  const whole = textOfConfig(config);
  const told = vm === undefined ? undefined : compileVm(vm);
  return {
    config: texts,
    ...(!foreign || whole === textOfConfig(texts) ? {} : { configText: whole }),
    ...(told === undefined ? {} : { vm: told }),
  };
}

function compileVm({ rootId, id, configuration, clusters }: DeclaredVm): VmSpec {
  const named = Object.keys(clusters).length === 0 ? {} : { clusters: sorted(clusters, (upstream) => upstream) };
  return { rootId, id, configuration: textOfConfig(configuration), ...named };
}

function sorted<V, T>(config: Readonly<Record<string, V>>, valueOf: (value: V) => T): Record<string, T> {
  const entries = Object.entries(config).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, value]) => [key, valueOf(value)]));
}

/** Of a value by a key: what is no text, number or truth is JSON. */
function textOf(value: unknown): string {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function textOfConfig(config: Config): string {
  if (typeof config === "string") return config;
  return Object.keys(config).length === 0 ? "" : JSON.stringify(sorted(config, (value) => value));
}
