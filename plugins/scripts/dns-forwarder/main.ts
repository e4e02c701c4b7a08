/**
 * A DNS forwarder: answers for names of its own, denies those that are blocked, and asks a server for the others.
 *
 *     client ─▶ decode ─▶ own? blocked? ─▶ answer                        client ◀─
 *                              └─ else ─▶ encode ─▶ server ─▶ decode ─▶ without blocked records
 */
import { listen, load, Message, YAML, type DnsMessage, type DnsRecord } from "penstock";

interface Config {
  readonly listen: string;
  readonly server: string;
  readonly records: Readonly<Record<string, readonly string[]>>;
  readonly block: readonly string[];
}

interface Asked {
  /** The answer, where nobody else is asked. */
  own?: DnsMessage | undefined;
}

const { listen: address, server, records, block } = YAML.parse(String(load("./config.yaml"))) as Config;
const NO_SUCH_NAME = 3;
const TTL_SECONDS = 60;

function isBlocked(name: string): boolean {
  const lower = name.toLowerCase();
  return block.some((one) => lower === one || lower.endsWith(`.${one}`));
}

/** An answer of our own, or undefined when the server is to be asked. */
function answerTo(query: DnsMessage): DnsMessage | undefined {
  const [question] = query.questions;
  if (question === undefined) return undefined;
  const { name, type } = question;
  const base: DnsMessage = { ...query, response: true, recursionAvailable: true, additionals: [] };
  if (isBlocked(name)) return { ...base, rcode: NO_SUCH_NAME };
  const addresses = records[name.toLowerCase()];
  if (addresses === undefined) return undefined;
  const wanted = addresses.filter((each) => type === (each.includes(":") ? "AAAA" : "A"));
  const answers = wanted.map((data): DnsRecord => ({ name, type, ttl: TTL_SECONDS, data }));
  return { ...base, authoritative: true, answers };
}

/** A name that is not blocked may lead to one that is. */
function withoutBlocked(response: DnsMessage): DnsMessage {
  const answers = response.answers?.filter(
    ({ name, data }) => !isBlocked(name) && !(typeof data === "string" && isBlocked(data)),
  );
  return { ...response, answers: answers ?? [] };
}

listen<Asked>(address, { protocol: "udp" }, ($) =>
  $.decodeDNS()
    .demux({ timeout: "5s" })
    .to(($) =>
      $.handleMessageStart<DnsMessage>(({ head }, ctx) => {
        ctx.own = answerTo(head);
      }).branch(
        ({ own }) => own !== undefined,
        ($) => $.replaceMessage<DnsMessage>((_query, { own }) => new Message(own ?? {})),
        // A socket for each question: who wants to forge an answer has to guess its port too.
        ($) =>
          $.encodeDNS()
            .connect(server, { protocol: "udp" })
            .decodeDNS()
            .replaceMessage<DnsMessage>(({ head }) => new Message(withoutBlocked(head))),
      ),
    )
    .encodeDNS(),
);
