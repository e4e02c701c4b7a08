/** Made from wit/plugin.wit by `node sdk/tooling/world-types.ts`; do not edit. */

declare module "penstock:plugin/types@1.0.0" {
  export type Action = "continue" | "reply" | "pause";
}

declare module "penstock:plugin/http@1.0.0" {
  export type Head = "request" | "response" | "request-trailers" | "response-trailers";
  export type Part = "method" | "path" | "query" | "host" | "scheme" | "client-address" | "client-bytes";
  export function header(head: Head, name: string): Uint8Array | null;
  export function headerCount(head: Head): number;
  export function headerNameAt(head: Head, position: number): string;
  export function headerValueAt(head: Head, position: number): Uint8Array;
  export function setHeader(head: Head, name: string, value: string): boolean;
  export function addHeader(head: Head, name: string, value: string): boolean;
  export function removeHeader(head: Head, name: string): boolean;
  export function requestPart(part: Part): Uint8Array;
  export function setTarget(target: string): boolean;
  export function status(): number;
  export function setStatus(status: number): boolean;
  export function replyHeader(name: string, value: string): boolean;
  export function reply(status: number, body: Uint8Array): void;
  export function replyText(status: number, body: string): void;
}

declare module "penstock:plugin/body@1.0.0" {
  export function size(): number;
  export function get(offset: number, max: number): Uint8Array;
  export function splice(offset: number, removed: number, bytes: Uint8Array): boolean;
  export function spliceText(offset: number, removed: number, text: string): boolean;
  export function skip(): void;
}

declare module "penstock:plugin/exchange@1.0.0" {
  export function keep(bytes: Uint8Array): void;
  export function kept(): Uint8Array;
}

declare module "penstock:plugin/facts@1.0.0" {
  export type PropertyName = "route" | "tenant" | "plugin" | "protocol" | "server-name" | "original-destination" | "endpoint" | "outcome" | "client-certificate";
  export type MeasureName = "duration-ms" | "bytes-received" | "bytes-sent" | "status";
  export function property(of: PropertyName): string;
  export function measure(of: MeasureName): number;
}

declare module "penstock:plugin/config@1.0.0" {
  export function get(key: string): string | null;
}

declare module "penstock:plugin/log@1.0.0" {
  export type Level = "debug" | "info" | "warn" | "error";
  export function write(level: Level, text: string): void;
}

declare module "penstock:plugin/maps@1.0.0" {
  export interface Shape {
    readonly key: number;
    readonly value: number;
    readonly keyBytes: number;
    readonly valueBytes: number;
  }
  export function open(name: string): number | null;
  export function shapeOf(handle: number): Shape;
  export function get(handle: number, key: Uint8Array): Uint8Array | null;
  export function put(handle: number, key: Uint8Array, value: Uint8Array): boolean;
  function delete_(handle: number, key: Uint8Array): boolean;
  export function increment(handle: number, key: Uint8Array, delta: number): number;
  export function next(handle: number, key: Uint8Array): Uint8Array | null;
  export { delete_ as delete };
}

declare module "penstock:plugin/key-value@1.0.0" {
  export function get(key: string): Uint8Array | null;
  export function version(): number;
  export function put(key: string, value: Uint8Array, ttlMs: number, expected: number): number;
  export function putText(key: string, value: string, ttlMs: number, expected: number): number;
  function delete_(key: string, expected: number): boolean;
  export function increment(key: string, delta: number, ttlMs: number): number;
  export { delete_ as delete };
}

declare module "penstock:plugin/metrics@1.0.0" {
  export type Kind = "counter" | "gauge" | "histogram";
  export function define(kind: Kind, name: string): number | null;
  export function add(metric: number, delta: number): void;
  export function record(metric: number, value: number): void;
}

declare module "penstock:plugin/upstreams@1.0.0" {
  export function open(name: string): number | null;
  export function routeTo(upstream: number, endpoint: string): boolean;
  export function fetchHeader(name: string, value: string): boolean;
  export function fetch(upstream: number, method: string, path: string, body: Uint8Array, timeoutMs: number): number;
  export function fetchedHeader(name: string): Uint8Array | null;
  export function fetchedBody(): Uint8Array;
  export function fetchedError(): string;
  export function connect(upstream: number, timeoutMs: number): number | null;
  export function send(connection: number, bytes: Uint8Array): boolean;
  export function receive(connection: number, max: number, timeoutMs: number): Uint8Array | null;
  export function close(connection: number): void;
}

declare module "penstock:plugin/crypto@1.0.0" {
  export type Algorithm = "hs256" | "rs256" | "es256" | "ed-dsa";
  export function verify(algorithm: Algorithm, key: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean;
  export function hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array;
  export function sha256(data: Uint8Array): Uint8Array;
}

declare module "penstock:plugin/time@1.0.0" {
  export function nowMs(): number;
  export function bootMs(): number;
  export function random(length: number): Uint8Array;
}

declare module "penstock:plugin/events@1.0.0" {
  export function tickEvery(ms: number): void;
  export function message(): Uint8Array;
  export function answer(bytes: Uint8Array): void;
}

declare module "penstock:plugin/bans@1.0.0" {
  export function ban(prefix: Uint8Array, seconds: number): boolean;
}
