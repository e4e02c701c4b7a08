/** Whether a topic belongs to a filter (MQTT 5.0 §4.7): `+` is one level, `#` all that follow, `$…` only what names it. */
export function topicMatches(filter: string, topic: string): boolean {
  const filters = filter.split("/");
  const levels = topic.split("/");
  if (topic.startsWith("$") && (filters[0] === "+" || filters[0] === "#")) return false;
  for (const [i, level] of filters.entries()) {
    if (level === "#") return true;
    if (i >= levels.length) return false;
    if (level !== "+" && level !== levels[i]) return false;
  }
  return filters.length === levels.length;
}
