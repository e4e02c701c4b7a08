/**
 * The known word that a misspelt one probably meant: the nearest by Damerau–Levenshtein distance (optimal string
 * alignment), if near enough that a person would call it a typing error.
 */
const NEAR_ENOUGH = 2;

export function suggestion(word: string, known: Iterable<string>): string | undefined {
  const folded = word.toLowerCase();
  // A short word is near everything: allow one error in three letters, at most two.
  const bound = Math.min(NEAR_ENOUGH, Math.max(1, Math.floor(folded.length / 3)));
  let best: string | undefined;
  let bestDistance = bound + 1;
  for (const candidate of known) {
    const distance = alignment(folded, candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Fewest insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. */
export function alignment(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
