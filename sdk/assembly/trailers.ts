// Fields behind a body.
import { Headers } from "./headers";

/**
 * Fields behind a body, in `onRequestEnd` and `onResponseEnd`: read, changed, and added. A message that came with its length has room for them
 * only if `onRequest` or `onResponse` has added a `trailer` header that names them; then it goes on in chunks. Edits answer false where there is no room
 * (a client of HTTP/1.0 never has any), and for names that must be known before the body.
 */
export class Trailers extends Headers {}
