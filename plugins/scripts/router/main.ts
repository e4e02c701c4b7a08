/** The talk's router and load balancer: requests by host and path to targets that take turns. */
import { listen, LoadBalancer, URLRouter } from "penstock";

const router = new URLRouter({
  "/*": new LoadBalancer(["127.0.0.1:8080", "127.0.0.1:8082"], { algorithm: "round-robin" }),
});

interface Memory {
  target?: string | undefined;
}

listen<Memory>(8000, ($) =>
  $.demuxHTTP().to(($) =>
    $.handleMessageStart((msg, ctx) => {
      ctx.target = router.find(msg.head.headers["host"], msg.head.path)?.allocate().target;
    })
      .muxHTTP((ctx) => ctx.target)
      .to(($) => $.connect((ctx) => ctx.target)),
  ),
);
