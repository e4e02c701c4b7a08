/** Cache-Control (RFC 9111 section 5.2) as a record: a directive without a value is "", seconds are numbers. */

export interface Directives {
  readonly has: ReadonlySet<string>;
  /** Of those that count in seconds; one that is no number is 0, as the strictest reading. */
  readonly seconds: ReadonlyMap<string, number>;
}

const SECONDS = new Set(["max-age", "s-maxage", "max-stale", "min-fresh", "stale-while-revalidate", "stale-if-error"]);
const DIRECTIVES_MAX = 32;
/** Section 1.2.2: what is greater counts as this. */
const SECONDS_MAX = 2 ** 31;

export function directivesOf(value: string | undefined): Directives {
  const has = new Set<string>();
  const seconds = new Map<string, number>();
  if (value === undefined) return { has, seconds };
  // A comma within quotes lists field names: `private="a, b"` counts as `private`, the stricter reading.
  const members = value.replace(/"[^"]*"/g, "q").split(",", DIRECTIVES_MAX);
  for (const member of members) {
    const [name = "", argument = ""] = member.split("=", 2);
    const directive = name.trim().toLowerCase();
    if (directive === "") continue;
    // Given twice with different values: the first counts, for a lifetime the shorter (section 4.2.1).
    if (SECONDS.has(directive)) {
      const count = secondsOf(argument.trim(), directive);
      seconds.set(directive, Math.min(seconds.get(directive) ?? SECONDS_MAX, count));
    }
    has.add(directive);
  }
  return { has, seconds };
}

function secondsOf(text: string, directive: string): number {
  // `max-stale` alone: however stale.
  if (text === "" && directive === "max-stale") return SECONDS_MAX;
  return /^\d+$/.test(text) ? Math.min(Number(text), SECONDS_MAX) : 0;
}
