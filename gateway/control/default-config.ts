/**
 * What `run` declares when nothing was declared before: one listener, one upstream (an echo server inside the program),
 * one tenant, one route through one plugin. It is a `penstock.yaml` like any other, and is shown to who asks for an
 * example to start from.
 */

export interface DefaultConfigOptions {
  /** Of the echo server: `127.0.0.1:PORT`. */
  readonly echoAddress: string;
  /** `127.0.0.1:8080` when left out. */
  readonly listenAddress?: string;
}

/** How the default declaration names the module that comes along with it (`DeclareRequest.modules`). */
export const DEFAULT_MODULE_FILE = "wasm-plugins/token-check/build/token-check.wasm";
/** The file name that findings about it would show. */
export const DEFAULT_CONFIG_FILE = "penstock.yaml (embedded)";
/** What the example's plugin asks for in `x-token`. */
export const DEFAULT_TOKEN = "s3cret";

export function defaultConfig({ echoAddress, listenAddress = "127.0.0.1:8080" }: DefaultConfigOptions): string {
  return `# The example that \`penstock run\` starts with. Copy it, change it, and: penstock apply -f penstock.yaml
listeners:
  - { name: web, address: "${listenAddress}", protocol: http }

upstreams:
  - name: echo                       # answers with what it was asked
    endpoints: [{ address: "${echoAddress}" }]

tenants:
  - { name: example, hosts: ["*"] }

plugins:
  - { name: token-check, tenant: example, version: "1", file: ${DEFAULT_MODULE_FILE} }

routes:
  - name: all
    tenant: example
    listeners: [web]
    match: { path: { prefix: / } }
    filters:
      - { plugin: "token-check@1", config: { token: ${DEFAULT_TOKEN} } }
    upstream: echo

settings: { accessLog: text }
`;
}
