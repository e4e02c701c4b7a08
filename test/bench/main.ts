/**
 * `npm run bench -- NAME... [--json] [--rounds N] [--seconds N]`
 *
 * Exit code 0: every bound is met; 1: one is missed, or a bench can't run here; 2: wrong use.
 */
import { parseArgs } from "node:util";
import type { Bench } from "./bench.ts";
import { bodies } from "./benches/bodies.ts";
import { control } from "./benches/control.ts";
import { filter } from "./benches/filter.ts";
import { http1 } from "./benches/http1.ts";
import { idle } from "./benches/idle.ts";
import { kernel } from "./benches/kernel.ts";
import { pipeline } from "./benches/pipeline.ts";
import { rate } from "./benches/rate.ts";
import { routes } from "./benches/routes.ts";
import { swap } from "./benches/swap.ts";
import { plugins } from "./benches/plugins.ts";
import { tcp } from "./benches/tcp.ts";
import { tls } from "./benches/tls.ts";
import { inScope } from "./host/scope.ts";
import { Unavailable } from "./unavailable.ts";

const BENCHES: Readonly<Record<string, Bench>> = {
  plugins,
  http1,
  filter,
  idle,
  bodies,
  tcp,
  tls,
  routes,
  swap,
  rate,
  kernel,
  control,
  pipeline,
};

/** Benches of which the gateway does not yet have the subject. */
const NOT_YET: Readonly<Record<string, string>> = {};

const USAGE = `npm run bench -- NAME... [--json] [--rounds N] [--seconds N]

  http1    HTTP/1.1 proxying against nginx
  filter   a token check in Wasm against nginx without and with njs
  idle     memory of 10 000 idle connections, CPU of an idle gateway
  bodies   HTTP/1.1 answers of 64 KiB and 1 MiB against nginx
  tls      HTTP/1.1 over TLS 1.3 against nginx: keep-alive, and new handshakes
  plugins  tenants' plugins: each interface, five, two thousand, an upload, a hostile one; njs and Lua
  tcp      TCP proxying of small messages and of bulk against HAProxy with splicing
  routes   100 000 routes against 10
  swap     a change of one route among 10 000, under load
  rate     latency at half of the peak's rate, against nginx
  kernel   programs in the kernel: a packet, a connect, a start; the L4 balancer's path
  control  ten thousand routes applied, and one changed, under load; memory of an idle gateway
  pipeline the talk's router as a script against a declared route; a filter in a script against nginx with njs

  --rounds N    interleaved rounds of each side (5)
  --seconds N   length of a round (5); shorter ones are coarse, CPU time counts in ticks of 10 ms
`;

interface Options {
  readonly names: readonly string[];
  readonly json: boolean;
  readonly rounds: number;
  readonly seconds: number;
}

/** Null: wrong use. */
function readArguments(argv: readonly string[]): Options | null {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        json: { type: "boolean", default: false },
        rounds: { type: "string", default: "5" },
        seconds: { type: "string", default: "5" },
      },
    });
    const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
    const known = positionals.every((name) => name in BENCHES || name in NOT_YET);
    const whole = Number.isInteger(rounds) && rounds > 0 && Number.isInteger(seconds) && seconds > 0;
    if (!known || !whole || positionals.length === 0) return null;
    return { names: positionals, json: values.json, rounds, seconds };
  } catch {
    return null;
  }
}

/** True when the bench ran and every bound is met. */
async function runBench(name: string, { json, rounds, seconds }: Options): Promise<boolean> {
  const progress = (text: string): void => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${name}: ${text}`);
  };
  try {
    const bench = BENCHES[name];
    if (bench === undefined) {
      process.stderr.write(`${name}: can't run here yet: ${NOT_YET[name]}\n`);
      return false;
    }
    const { figures, text } = await inScope((scope) => bench(scope, { rounds, seconds, progress }));
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
    const lines = json ? figures.map((figure) => JSON.stringify(figure)) : [name, text, ""];
    process.stdout.write(`${lines.join("\n")}\n`);
    return figures.every(({ ok }) => ok);
  } catch (error) {
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
    const reason = error instanceof Error ? error.message : String(error);
    const verdict = error instanceof Unavailable ? "can't run here" : "failed";
    process.stderr.write(`${name}: ${verdict}: ${reason}\n`);
    return false;
  }
}

const options = readArguments(process.argv.slice(2));
if (options === null) {
  process.stderr.write(USAGE);
  process.exitCode = 2;
} else {
  for (const name of options.names) if (!(await runBench(name, options))) process.exitCode = 1;
}
