/**
 * Reads OpenMetrics 1.0 text, strictly: what a scraper would refuse is an error here. Families stand together, are said once,
 * samples have the suffix of their type, no series comes twice, buckets are cumulative and end with +Inf, the text with EOF.
 * Source: OpenMetrics 1.0, "Text format" and "Metric types".
 */
const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const SAMPLE = new RegExp(`^(${NAME})(\\{.*\\})? (\\S+)$`);
const LABELS = new RegExp(`^\\{(${NAME}="(?:[^"\\\\\\n]|\\\\[\\\\"n])*"(,|(?=\\}$)))*\\}$`);
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: ["_total"],
  gauge: [""],
  histogram: ["_bucket", "_count", "_sum"],
};

/** Values by series, as it was written. */
export function readOpenMetrics(text: string): Map<string, number> {
  const series = new Map<string, number>();
  const families = new Set<string>();
  const lines = text.split("\n");
  if (lines.pop() !== "" || lines.pop() !== "# EOF") throw new Error("the text does not end with # EOF");
  let family = "";
  let type = "";
  for (const line of lines) {
    const [, word, name = "", rest = ""] = /^# (TYPE|HELP|UNIT) (\S+) (.*)$/.exec(line) ?? [];
    if (word === "TYPE") {
      if (families.has(name)) throw new Error(`family ${name} comes twice`);
      if (!(rest in SUFFIXES)) throw new Error(`${name} has type ${rest}`);
      families.add(name);
      [family, type] = [name, rest];
    } else if (word !== undefined) {
      if (name !== family) throw new Error(`${word} of ${name} stands in ${family}`);
    } else readSample(line, family, SUFFIXES[type] ?? [], series);
  }
  checkBuckets(series);
  return series;
}

function readSample(line: string, family: string, suffixes: readonly string[], series: Map<string, number>): void {
  const [, name = "", labels = "", value = ""] = SAMPLE.exec(line) ?? [];
  if (!suffixes.some((suffix) => name === family + suffix)) throw new Error(`not a sample of ${family}: ${line}`);
  if (labels !== "" && !LABELS.test(labels)) throw new Error(`labels of ${line}`);
  if (!/^(?:[+-]Inf|NaN|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/.test(value)) throw new Error(`the value of ${line}`);
  if (series.has(name + labels)) throw new Error(`series ${name}${labels} comes twice`);
  series.set(name + labels, Number(value.replace("Inf", "Infinity")));
}

function checkBuckets(series: ReadonlyMap<string, number>): void {
  const last = new Map<string, { readonly count: number; readonly le: string }>();
  for (const [name, count] of series) {
    const [, of, before = "", le = ""] = /^(.*)_bucket\{(.*?),?le="([^"]+)"\}$/.exec(name) ?? [];
    if (of === undefined) continue;
    const key = `${of}_count${before === "" ? "" : `{${before}}`}`;
    if ((last.get(key)?.count ?? 0) > count) throw new Error(`buckets of ${key} are not cumulative at ${le}`);
    last.set(key, { count, le });
  }
  for (const [key, { count, le }] of last) {
    if (le !== "+Inf") throw new Error(`buckets of ${key} end with ${le}`);
    if (series.get(key) !== count) throw new Error(`${key} is not what its last bucket says`);
  }
}
