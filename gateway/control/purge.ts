/** What control and supervisor say about cached responses that are to be forgotten; a part of protocol.ts. */

/** Forgets cached responses of a route, at all workers. */
export interface PurgeRequest {
  readonly type: "purge";
  readonly id: number;
  readonly what: Purge;
}

export interface Purge {
  readonly tenant: string;
  readonly route: string;
  /** Of requests, with the port that they name; absent: all. */
  readonly host?: string | undefined;
  /** Without a query; absent: all. */
  readonly path?: string | undefined;
  readonly prefix?: string | undefined;
}

export interface PurgeReply {
  readonly type: "purge-reply";
  readonly id: number;
  /** Of all workers. */
  readonly purged: number;
}
