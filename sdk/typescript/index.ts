/** The package `penstock/plugin`: what plugins in TypeScript import. The builder takes in only the files that one uses. */
export { Action, Response, replyHeader, respond } from "./response.ts";
export { Request } from "./request.ts";
export { Headers, Trailers } from "./headers.ts";
export { config, Config } from "./config.ts";
export { log } from "./log.ts";
export { maps, SharedMap } from "./maps.ts";
export { connect, Connection, fetch, type FetchOptions, FetchResult, routeTo } from "./fetch.ts";
export { nowMs, randomBytes } from "./clock.ts";
export { Body, skipBody } from "./body.ts";
export { Data, refuse, Stream } from "./stream.ts";
export { facts } from "./facts.ts";
export { kept } from "./kept.ts";
export { kv } from "./kv.ts";
export { Counter, Gauge, Histogram } from "./metrics.ts";
export { Algorithm, hmacSha256, sha256, verify } from "./crypto.ts";
export { Message, tickEvery } from "./events.ts";
export { banFromTenant } from "./ban.ts";
export { bytesOf, fromBase64url, hex, textOf } from "./text.ts";
