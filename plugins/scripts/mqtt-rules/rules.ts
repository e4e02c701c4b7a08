/** Who may publish and subscribe to what. */
import { topicMatches } from "penstock";

export interface Rule {
  readonly user: string;
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/** A rule with the client's own names in its filters. */
export interface Rights {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

const NOTHING: Rights = { publish: [], subscribe: [] };

/** Names with `/`, `+` or `#` could reach beyond their own filters. */
const NAME = /^[^/+#$]*$/;

export function rightsOf(rules: readonly Rule[], user: string, clientID: string): Rights {
  const rule = rules.find((one) => one.user === "*" || one.user === user);
  if (rule === undefined || !NAME.test(user) || !NAME.test(clientID)) return NOTHING;
  const fill = (filter: string): string => filter.replaceAll("%u", user).replaceAll("%c", clientID);
  return { publish: rule.publish.map(fill), subscribe: rule.subscribe.map(fill) };
}

export function mayPublish({ publish }: Rights, topic: string): boolean {
  return publish.some((filter) => topicMatches(filter, topic));
}

/** A filter is within another when all topics it matches are. */
export function maySubscribe({ subscribe }: Rights, asked: string): boolean {
  return subscribe.some((filter) => isWithin(asked.split("/"), filter.split("/")));
}

function isWithin(asked: readonly string[], allowed: readonly string[]): boolean {
  if ((asked[0] === "#" || asked[0] === "+") && allowed[0]?.startsWith("$") === true) return false;
  if (asked[0]?.startsWith("$") === true && (allowed[0] === "#" || allowed[0] === "+")) return false;
  for (const [i, level] of allowed.entries()) {
    if (level === "#") return true;
    const other = asked[i];
    if (other === undefined || other === "#") return false;
    if (level !== "+" && level !== other) return false;
  }
  return asked.length === allowed.length;
}
