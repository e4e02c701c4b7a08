/**
 * The talk's router without sockets: what a request costs in JavaScript, from the client's bytes to the upstream's and back.
 * `node test/bench/micro/pipeline.ts`: nanoseconds a request, best of some runs.
 */
import { PipeFilter } from "#pipeline/filters/pipe-filter.ts";
import { LoadBalancer } from "#pipeline/library/load-balancer.ts";
import { URLRouter } from "#pipeline/library/url-router.ts";
import { rig } from "#test/support/pipeline-rig.ts";

const REQUESTS = 100_000;
const RUNS = 7;
const REQUEST = Buffer.from("GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n");
const RESPONSE = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n${"x".repeat(100)}`,
);

/** Whatever it was asked, the same answer, when it is told to: bytes that are there already, as an upstream's are when they come. */
class Upstream extends PipeFilter {
  #buffer = -1;

  override data(): void {
    remember(this);
  }

  answer(): void {
    const { buffers } = this.scope.runtime;
    if (this.#buffer < 0) {
      this.#buffer = buffers.allocate();
      buffers.memory.set(RESPONSE, this.#buffer << 15);
    }
    this.output.data(this.#buffer, this.#buffer << 15, (this.#buffer << 15) + RESPONSE.length);
  }
}

let asked: Upstream | null = null;
const remember = (upstream: Upstream): void => void (asked = upstream);

let answered = 0;

class Counting extends PipeFilter {
  override data(): void {
    answered++;
  }
}

interface Memory {
  target?: string | undefined;
}

const router = new URLRouter({ "/*": new LoadBalancer(["127.0.0.1:9001"], { algorithm: "round-robin" }) });
const one = rig<Memory>(($) =>
  $.demuxHTTP()
    .to(($) =>
      $.handleMessageStart((msg, ctx) => {
        ctx.target = router.find(msg.head.headers["host"], msg.head.path)?.allocate().target;
      })
        .muxHTTP((ctx) => ctx.target)
        .to(($) => $.use((scope) => new Upstream(scope))),
    )
    .use((scope) => new Counting(scope)),
);
const { buffers } = one.runtime;
const buffer = buffers.allocate();
buffers.memory.set(REQUEST, buffer << 15);
let best = Number.POSITIVE_INFINITY;
for (let run = 0; run < RUNS; run++) {
  const before = process.cpuUsage();
  for (let i = 0; i < REQUESTS; i++) {
    one.runtime.loop.turns++;
    one.instance.input.data(buffer, buffer << 15, (buffer << 15) + REQUEST.length);
    (asked as Upstream | null)?.answer();
  }
  const { user, system } = process.cpuUsage(before);
  best = Math.min(best, ((user + system) * 1000) / REQUESTS);
}
if (answered < REQUESTS * RUNS) throw new Error(`${answered} pieces of answers to ${REQUESTS * RUNS} requests`);
process.stdout.write(`a request through the talk's router: ${best.toFixed(0)} ns\n`);
