/** Lines about what clients and endpoints do: whoever can cause one can cause thousands, so a second has room for a few of them. */

const LINES_MAX = 10;
const SECOND_MS = 1000;

export function throttled(log: (line: string) => void, now: () => number): (line: string) => void {
  let begunMs = Number.NEGATIVE_INFINITY;
  let lines = 0;
  return (line) => {
    const nowMs = now();
    if (nowMs - begunMs >= SECOND_MS) {
      if (lines > LINES_MAX) log(`${lines - LINES_MAX} more such lines were left out`);
      begunMs = nowMs;
      lines = 0;
    }
    lines++;
    if (lines <= LINES_MAX) log(line);
  };
}
