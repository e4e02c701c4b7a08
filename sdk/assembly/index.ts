// The package `penstock/assembly`: what plugins import. See README.md.
export { Action, Response, replyHeader, respond, respondBytes } from "./response";
export { Request } from "./request";
export { config, Config } from "./config";
export { log } from "./log";
export { ban, banClient, maps, SharedMap } from "./maps";
export { fetch, FetchOptions, FetchResult } from "./fetch";
export { Headers } from "./headers";
export { headerName, HeaderName } from "./names";
export { Bytes, sameSecret } from "./text";
export { nowMs, randomU64 } from "./clock";
