/**
 * A client that asks each of its URLs (arguments) again and again, on a connection of its own each time, until its input ends. Prints
 * how often it was answered what, as JSON.
 */
const answers: Record<string, number> = {};
const GIVE_UP_MS = 10_000;
let asking = true;
process.stdin.on("end", () => (asking = false)).resume();

async function again(url: string): Promise<void> {
  while (asking) {
    const text = await fetch(url, { headers: { connection: "close" }, signal: AbortSignal.timeout(GIVE_UP_MS) })
      .then((answer) => answer.text())
      .catch((error: unknown) => `${url}: ${String((error as Error).cause ?? error)}`);
    answers[text] = (answers[text] ?? 0) + 1;
  }
}

await Promise.all(process.argv.slice(2).map(again));
process.stdout.write(JSON.stringify(answers));
