/**
 * `basic-auth` (RFC 7617): 401 without a user's password; 407 to CONNECT. The credential is taken off the request, so that neither later
 * filters nor the upstream learn it. A check is one SHA-256, whoever the user is. It is the one filter that allocates for
 * a request it lets pass: the decoded credential, the user's name and the digest.
 */
import { timingSafeEqual } from "node:crypto";
import { equalsIgnoreCase } from "#http/octets.ts";
import type { Head } from "#http/head.ts";
import { CONTINUE, HOOK_REQUEST_HEAD, REPLY, type Exchange, type Verdict } from "#pipeline/filter.ts";
import type { BasicAuthConfig } from "#snapshot/builtin-filters.ts";
import { BuiltinFilter } from "./builtin-filter.ts";
import { credentialField, respondChallenge } from "./challenge.ts";
import { DIGEST_BYTES, digestOf, IdentityField, sha256 } from "./credentials.ts";
import { lineOf } from "./texts.ts";

const UNAUTHORIZED = lineOf("user and password are needed");
const NO_ROOM = lineOf("the headers do not fit");
const SCHEME_BYTES = "basic ".length;
const SP = 0x20;
const COLON = 0x3a;
/** Longer ones are nobody's: a bound on what is decoded and hashed for a stranger. */
const CREDENTIAL_BYTES_MAX = 1024;
/** Hashed for users who don't exist, so that they take the same time. */
const NOBODYS_SALT = Buffer.from("0123456789abcdef");
const NOBODYS_DIGEST = new Uint8Array(DIGEST_BYTES);

export class BasicAuthFilter extends BuiltinFilter {
  readonly #challenge: string;
  readonly #users: readonly { readonly salt: Buffer; readonly digest: Uint8Array }[];
  readonly #indices: ReadonlyMap<string, number>;
  readonly #identity: IdentityField;

  constructor(config: BasicAuthConfig) {
    super("basic-auth", HOOK_REQUEST_HEAD);
    this.#challenge = `Basic realm="${config.realm}", charset="UTF-8"`;
    this.#users = config.users.map((user) => ({ salt: Buffer.from(user.salt), digest: digestOf(user.sha256) }));
    this.#indices = new Map(config.users.map(({ name }, index) => [name, index]));
    const names = config.users.map(({ name }) => name);
    this.#identity = new IdentityField(config.userHeader, names);
  }

  override requestHead(exchange: Exchange): Verdict {
    const { request } = exchange;
    const field = credentialField(request);
    const user = this.#userOf(request, field);
    if (user < 0) return respondChallenge(exchange, this.#challenge, UNAUTHORIZED);
    request.remove(field);
    if (this.#identity.write(request, user)) return CONTINUE;
    exchange.respond(500, [], NO_ROOM);
    return REPLY;
  }

  /** Index of the user whose password came with the request, or −1. */
  #userOf(request: Head, field: number): number {
    const index = request.find(field);
    // Two of them: the upstream might read the other one.
    if (index < 0 || request.find(field, index + 1) >= 0) return -1;
    const { memory } = request;
    const start = request.valueStart(index);
    const end = request.valueEnd(index);
    if (!equalsIgnoreCase(memory, start, Math.min(start + SCHEME_BYTES, end), "basic ")) return -1;
    if (end - start > CREDENTIAL_BYTES_MAX) return -1;
    let token = start + SCHEME_BYTES;
    while (memory[token] === SP) token++;
    const credential = Buffer.from(request.text(token, end), "base64");
    const colon = credential.indexOf(COLON);
    return colon < 0 ? -1 : this.#check(credential, colon);
  }

  /** −1 also for who doesn't exist, whatever the digest is. */
  #check(credential: Buffer, colon: number): number {
    const index = this.#indices.get(credential.toString("utf8", 0, colon)) ?? -1;
    const user = this.#users[index];
    const password = credential.subarray(colon + 1);
    const digest = sha256(Buffer.concat([user?.salt ?? NOBODYS_SALT, password]));
    return timingSafeEqual(digest, user?.digest ?? NOBODYS_DIGEST) ? index : -1;
  }
}
