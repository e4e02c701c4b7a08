/** Server-sent events (HTML Living Standard §9.2) as the admin API sends them: one `event` and one line of `data` each. */
import { StringDecoder } from "node:string_decoder";

export interface ServerEvent {
  /** Empty where none is given. */
  readonly kind: string;
  readonly data: string;
}

/** Those that have data: the others only say that the connection lives. */
export async function* serverEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new StringDecoder("utf8");
  let text = "";
  for await (const chunk of chunks) {
    text += decoder.write(Buffer.from(chunk));
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const data = /^data: (.*)$/m.exec(event)?.[1];
      if (data !== undefined) yield { kind: /^event: (.*)$/m.exec(event)?.[1] ?? "", data };
    }
  }
}
