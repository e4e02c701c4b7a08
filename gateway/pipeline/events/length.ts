/** Heads that say how long what follows is, when somebody changes that. Heads that are not HTTP's have no length. */
import { HttpHead } from "#pipeline/http/http-head.ts";

interface Plain {
  readonly status?: unknown;
  readonly method?: unknown;
  readonly path?: unknown;
  readonly headers?: Readonly<Record<string, unknown>>;
}

/** The head of a message whose body is whole and has this many bytes. */
export function withLength(head: object, bytes: number): object {
  if (head instanceof HttpHead) {
    head.setLength(bytes);
    return head;
  }
  const plain = head as Plain;
  const http = plain.status !== undefined || plain.method !== undefined || plain.path !== undefined;
  if (!http && plain.headers === undefined) return head;
  return { ...plain, headers: { ...plain.headers, "content-length": String(bytes) } };
}

/** The head of a message whose body is about to be changed. */
export function withoutLength(head: object): object {
  if (head instanceof HttpHead) {
    head.forgetLength();
    return head;
  }
  const { headers } = head as Plain;
  if (headers?.["content-length"] === undefined) return head;
  return { ...head, headers: { ...headers, "content-length": undefined } };
}
