/**
 * Values by host and path. What stands in a route table of a script:
 *
 *     const router = new URLRouter({
 *       "/*": fallback,                     any host, any path
 *       "shop.example/cart": cart,          one host, one path
 *       "*.shop.example/api/*": api,        its subdomains, at any depth; /api, /api/ and all below
 *       "/users/:id/orders": orders,        one segment, captured
 *     })
 *     router.find("a.shop.example:8080", "/api/v1?q=1")      api, or undefined where nothing matches
 *     router.match("", "/users/42/orders")                   { value: orders, params: { id: "42" } }
 *
 * What is more specific wins, whatever the order: an exact host, then longer wildcards, then any host; on a path, at the
 * first segment where two patterns differ, text before a capture before the rest. A host without a path that matches
 * leaves the request to less specific ones.
 *
 * A path is read as the data plane's router reads it: without its query, dot segments removed, escapes of unreserved
 * characters decoded (RFC 3986 §6.2.2), empty segments kept. One that leads above the root matches nothing. Hosts are
 * compared without case, port and closing dot.
 */
import { libraryError } from "#core/errors/library.ts";
import { normalHost, normalPath } from "./normal-url.ts";

export interface URLMatch<T> {
  readonly value: T;
  /** By name; `*` is what a closing `*` stood for, without the slash before it. Still escaped. */
  readonly params: Readonly<Record<string, string>>;
}

interface Leaf<T> {
  readonly value: T;
  readonly names: readonly string[];
}

interface Node<T> {
  readonly children: Map<string, Node<T>>;
  capture: Node<T> | null;
  exact: Leaf<T> | null;
  rest: Leaf<T> | null;
}

const PATTERN = /^(?<host>(?:(?:\*\.)?[^/*:\s[\]]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?)?(?<path>\/[^?#\s]*)$/;
const NAME = /^:[A-Za-z_][A-Za-z0-9_]*$/;
const NONE: readonly string[] = [];

export class URLRouter<T> {
  readonly #exact = new Map<string, Node<T>>();
  /** By what follows `*.`. */
  readonly #wildcards = new Map<string, Node<T>>();
  readonly #any: Node<T> = newNode();

  /** Throws PENSTOCK_LIBRARY_ROUTE for a pattern that is none, or stands there twice. */
  constructor(routes: Readonly<Record<string, T>> = {}) {
    for (const [pattern, value] of Object.entries(routes)) this.add(pattern, value);
  }

  add(pattern: string, value: T): void {
    const { host = "", path = "" } = PATTERN.exec(pattern)?.groups ?? refuse(pattern, "no host and path");
    const normal = normalPath(path) ?? refuse(pattern, "the path leads above the root");
    const segments = normal.slice(1).split("/");
    const rest = segments.at(-1) === "*";
    if (rest) segments.pop();
    const names: string[] = [];
    let node = this.#rootOf(normalHost(host));
    for (const segment of segments) {
      if (segment.includes("*")) refuse(pattern, "`*` stands for the rest of a path, at its end");
      if (segment.startsWith(":")) {
        if (!NAME.test(segment)) refuse(pattern, `${segment} is no name`);
        names.push(segment.slice(1));
        node = node.capture ??= newNode();
      } else {
        node = childOf(node, segment);
      }
    }
    if (new Set(names).size !== names.length) refuse(pattern, "a name stands there twice");
    if ((rest ? node.rest : node.exact) !== null) refuse(pattern, "a pattern for the same requests is there already");
    if (rest) node.rest = { value, names };
    else node.exact = { value, names };
  }

  /** The value of the most specific pattern, or undefined. `host` may be absent or empty, and have a port. */
  find(host: string | undefined, path: string): T | undefined {
    return this.#search(host, path, (leaf) => leaf.value);
  }

  /** The same with what was captured. */
  match(host: string | undefined, path: string): URLMatch<T> | undefined {
    return this.#search(host, path, ({ value, names }, captured, rest) => {
      const params: Record<string, string> = {};
      names.forEach((name, i) => (params[name] = captured[i] as string));
      if (rest !== null) params["*"] = rest;
      return { value, params };
    });
  }

  #search<R>(host: string | undefined, path: string, found: Found<T, R>): R | undefined {
    const normal = normalPath(path);
    if (normal === null) return undefined;
    const name = host === undefined ? "" : normalHost(host);
    const exact = this.#exact.get(name);
    const own = exact === undefined ? undefined : walk(exact, normal, 1, NONE, found);
    if (own !== undefined) return own;
    if (this.#wildcards.size > 0) {
      for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
        const wildcard = this.#wildcards.get(name.slice(dot + 1));
        const under = wildcard === undefined ? undefined : walk(wildcard, normal, 1, NONE, found);
        if (under !== undefined) return under;
      }
    }
    return walk(this.#any, normal, 1, NONE, found);
  }

  #rootOf(host: string): Node<T> {
    if (host === "") return this.#any;
    const [hosts, name] = host.startsWith("*.") ? [this.#wildcards, host.slice(2)] : [this.#exact, host];
    const root = hosts.get(name) ?? newNode();
    hosts.set(name, root);
    return root;
  }
}

type Found<T, R> = (leaf: Leaf<T>, captured: readonly string[], rest: string | null) => R;

/** From the segment that begins at `at`; beyond the path's end there is none left. */
function walk<T, R>(
  node: Node<T>,
  path: string,
  at: number,
  captured: readonly string[],
  found: Found<T, R>,
): R | undefined {
  if (at > path.length) {
    if (node.exact !== null) return found(node.exact, captured, null);
    return node.rest === null ? undefined : found(node.rest, captured, "");
  }
  const slash = path.indexOf("/", at);
  const end = slash < 0 ? path.length : slash;
  const segment = path.slice(at, end);
  const child = node.children.get(segment);
  const through = child === undefined ? undefined : walk(child, path, end + 1, captured, found);
  if (through !== undefined) return through;
  // An empty segment is no value: /users//orders has no id.
  if (node.capture !== null && segment !== "") {
    const under = walk(node.capture, path, end + 1, [...captured, segment], found);
    if (under !== undefined) return under;
  }
  return node.rest === null ? undefined : found(node.rest, captured, path.slice(at));
}

function childOf<T>(node: Node<T>, segment: string): Node<T> {
  const child = node.children.get(segment) ?? newNode<T>();
  node.children.set(segment, child);
  return child;
}

function newNode<T>(): Node<T> {
  return { children: new Map(), capture: null, exact: null, rest: null };
}

function refuse(pattern: string, why: string): never {
  throw libraryError("PENSTOCK_LIBRARY_ROUTE", { detail: `${JSON.stringify(pattern)}: ${why}` });
}
