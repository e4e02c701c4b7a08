/**
 * Configurations of the built-in filters as a worker gets them: checked, references and texts in their final form, every
 * default filled in. What an operator writes is in `control/config/builtin`; what runs is in `plugins/`.
 */

export type BuiltinFilterSpec = {
  readonly [Name in BuiltinName]: {
    readonly kind: "builtin";
    readonly name: Name;
    readonly config: BuiltinConfigs[Name];
  };
}[BuiltinName];

export type BuiltinName = keyof BuiltinConfigs;

export interface BuiltinConfigs {
  readonly headers: HeadersConfig;
  readonly "ip-access": IpAccessConfig;
  readonly redirect: RedirectConfig;
  readonly rewrite: RewriteConfig;
  readonly "basic-auth": BasicAuthConfig;
  readonly "key-auth": KeyAuthConfig;
  readonly cors: CorsConfig;
  readonly "rate-limit": RateLimitConfig;
  readonly "static-response": StaticResponseConfig;
  readonly fault: FaultConfig;
  readonly jwt: JwtConfig;
  readonly compress: CompressConfig;
  readonly decompress: DecompressConfig;
  readonly buffer: BufferConfig;
  readonly "static-files": StaticFilesConfig;
  readonly cache: CacheConfig;
  readonly mirror: MirrorConfig;
  readonly trace: TraceConfig;
}

export interface TraceConfig {
  /** The collector's, by its name in the snapshot. */
  readonly upstream: string;
  readonly path: string;
  /** Of the requests that bring no decision of their own. */
  readonly percent: number;
  readonly serviceName: string;
  readonly timeoutMs: number;
}

/** Lower-case names to values. */
export type FieldValues = Readonly<Record<string, string>>;

export interface HeaderEdits {
  /** One line of this value in place of all there are. */
  readonly set: FieldValues;
  /** A line more. */
  readonly add: FieldValues;
  readonly remove: readonly string[];
}

export interface HeadersConfig {
  readonly request: HeaderEdits;
  readonly response: HeaderEdits;
}

export interface IpAccessConfig {
  /** Prefixes; empty: everyone who is not denied. */
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

/** `{host}`, `{path}` and `{query}` in the texts stand for the request's. A part that is absent is the request's. */
export interface RedirectConfig {
  readonly status: 301 | 302 | 307 | 308;
  readonly scheme?: "http" | "https" | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly path?: string | undefined;
  /** Without the question mark; empty: none. */
  readonly query?: string | undefined;
}

export interface RewriteConfig {
  /** Whole segments at the beginning of the path, and what stands there instead. */
  readonly prefix?: { readonly from: string; readonly to: string } | undefined;
  /** As in a redirect: with placeholders, without the question mark; empty: none. */
  readonly query?: string | undefined;
  /** `name` or `name:port`. */
  readonly host?: string | undefined;
}

export interface BasicAuthConfig {
  readonly realm: string;
  readonly users: readonly {
    readonly name: string;
    readonly salt: string;
    /** SHA-256 (hex) of the salt followed by the password. */
    readonly sha256: string;
  }[];
  /** Field that tells the upstream who it is; whatever the client said there is replaced. */
  readonly userHeader?: string | undefined;
}

export interface KeyAuthConfig {
  /** Exactly one of the two. */
  readonly header?: string | undefined;
  readonly query?: string | undefined;
  readonly keys: readonly { readonly name: string; /** Of the key, in hex. */ readonly sha256: string }[];
  readonly userHeader?: string | undefined;
}

export interface CorsConfig {
  /** `*`, `https://shop.example`, `https://*.shop.example`. */
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  readonly headers: readonly string[];
  readonly exposeHeaders: readonly string[];
  readonly credentials: boolean;
  readonly maxAgeSeconds: number;
}

export interface RateLimitConfig {
  readonly perSecond: number;
  /** Requests that may come at once. */
  readonly burst: number;
  /** `client-ip`, `host`, `route` or `header:NAME`. */
  readonly key: string;
  /** Keys that are remembered at the same time. */
  readonly keysMax: number;
  /** The shared map that has the buckets of clients, by name; left out: they stand in the workers' own table. */
  readonly map?: string;
}

export interface MirrorConfig {
  /** By its name in the snapshot. */
  readonly upstream: string;
  readonly percent: number;
  readonly bodyBytesMax: number;
  /** In place of the request's. */
  readonly host?: string | undefined;
  readonly concurrencyMax: number;
  readonly timeoutMs: number;
}

export interface StaticResponseConfig {
  readonly status: number;
  readonly headers: FieldValues;
  readonly body: string;
}

export interface FaultConfig {
  readonly delay?: { readonly ms: number; readonly percent: number } | undefined;
  readonly abort?: { readonly status: number; readonly percent: number } | undefined;
}

export type JwtAlgorithm =
  | "HS256"
  | "HS384"
  | "HS512"
  | "RS256"
  | "RS384"
  | "RS512"
  | "PS256"
  | "PS384"
  | "PS512"
  | "ES256"
  | "ES384"
  | "ES512"
  | "EdDSA";

/** RFC 7517. Of an upstream it is whatever that said. */
export type JsonWebKeySpec = Readonly<Record<string, unknown>>;

export interface JwksUpstream {
  /** By its name in the snapshot. */
  readonly upstream: string;
  readonly path: string;
  readonly host?: string | undefined;
  readonly ttlSeconds: number;
  readonly staleSeconds: number;
  readonly timeoutMs: number;
}

export interface JwtConfig {
  readonly algorithms: readonly JwtAlgorithm[];
  /** Empty where they come from an upstream. */
  readonly keys: readonly JsonWebKeySpec[];
  readonly jwksUpstream?: JwksUpstream | undefined;
  /** One of the three places; the header `authorization` when none is named. */
  readonly from: {
    readonly header?: string | undefined;
    readonly scheme: string;
    readonly cookie?: string | undefined;
    readonly query?: string | undefined;
  };
  /** Empty: any. */
  readonly issuers: readonly string[];
  readonly audiences: readonly string[];
  /** Claims that must be there. */
  readonly required: readonly string[];
  readonly leewaySeconds: number;
  readonly ageMaxSeconds?: number | undefined;
  /** Fields of the request to the claims they are made of. */
  readonly claimHeaders: FieldValues;
  readonly forward: boolean;
  readonly optional: boolean;
  readonly realm: string;
}

export type Coding = "gzip" | "br" | "zstd";

export interface CompressConfig {
  /** In order of preference. */
  readonly codings: readonly Coding[];
  /** In lower case, without parameters: `text/html`, `text/*`, `*+json`. */
  readonly contentTypes: readonly string[];
  /** Of a response that says its length. */
  readonly bytesMin: number;
  readonly levels: { readonly [Name in Coding]?: number | undefined };
}

export interface DecompressConfig {
  readonly request: boolean;
  readonly response: "never" | "unless-accepted" | "always";
  /** Of what comes out. */
  readonly bytesMax: number;
}

export interface BufferConfig {
  readonly bytesMax: number;
}

export interface StaticFilesConfig {
  /** By the name it was given to the gateway under. */
  readonly directory: string;
  /** Whole segments at the beginning of the path that are no directory; `/` for none. */
  readonly stripPrefix: string;
  /** Tried in a directory, in order. */
  readonly index: readonly string[];
  /** What is served where there is no such file. */
  readonly fallback?: string | undefined;
  readonly missing: "404" | "upstream";
  /** Names that begin with a dot are files too. */
  readonly hidden: boolean;
  readonly cacheControl?: string | undefined;
  /** Media types by the end of a name, in lower case. */
  readonly types: FieldValues;
}

export interface CacheConfig {
  /** Of each worker. */
  readonly bytesMax: number;
  readonly objectBytesMax: number;
  readonly ttlSeconds: number;
  readonly staleWhileRevalidateSeconds: number;
  readonly staleIfErrorSeconds: number;
  readonly setCookie: boolean;
  readonly coalesceMs: number;
}
