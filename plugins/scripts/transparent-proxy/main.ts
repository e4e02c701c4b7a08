/**
 * The talk's transparent proxy: HTTP of all processes in a cgroup goes through here without their knowing, and on to where
 * they wanted to go. What passes is not touched; two taps, copies of the stream in each direction, print requests and responses.
 *
 *     client ─▶ fork ─▶ connect ─▶ fork ─▶ client
 *                └▶ requests        └▶ responses
 */
import { listen, load, YAML } from "penstock";

interface Config {
  readonly listen: string;
  readonly cgroup: string;
  readonly ports: readonly number[];
}

interface Connection {
  /** Of the requests that have no answer yet. */
  asked?: string[];
}

const { listen: address, cgroup, ports } = YAML.parse(String(load("./config.yaml"))) as Config;

listen<Connection>(address, { steer: { cgroup, ports } }, ($) =>
  $.onStart((ctx) => {
    ctx.asked = [];
  })
    .fork()
    .to(($) =>
      $.decodeHTTPRequest().handleMessageStart(({ head }, { asked, inbound }) => {
        asked?.push(head.method);
        console.log(`${inbound.originalDestination} ${head.method} ${head.headers["host"] ?? ""}${head.path}`);
      }),
    )
    .connect((ctx) => ctx.inbound.originalDestination)
    .fork()
    .to(($) =>
      $.decodeHTTPResponse(({ asked }) => asked?.[0] === "HEAD").handleMessageStart(({ head }, { asked, inbound }) => {
        // 100 and its like stand in front of the answer.
        const method = head.status < 200 ? asked?.[0] : asked?.shift();
        console.log(`${inbound.originalDestination} ${method} ${head.status}`);
      }),
    ),
);
