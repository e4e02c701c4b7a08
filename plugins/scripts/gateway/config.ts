/** `config.yaml`, read and checked when the script is loaded: a mistake there keeps the script before it in force. */
import { load, YAML } from "penstock";

export interface Service {
  readonly targets: readonly string[];
  readonly balancer?: "round-robin" | "least-load" | "hash" | "maglev";
  /** Whether requests need a token. */
  readonly jwt?: boolean;
}

export interface Config {
  readonly listen: string;
  /** Host and path to the name of a service. */
  readonly routes: Readonly<Record<string, string>>;
  readonly services: Readonly<Record<string, Service>>;
  /** The secret that tokens are signed with (HS256). */
  readonly jwtSecret: string;
}

export const config = YAML.parse(String(load("./config.yaml"))) as Config;

for (const [pattern, service] of Object.entries(config.routes)) {
  if (config.services[service] === undefined)
    throw new Error(`config.yaml: ${pattern} leads to ${service}, which is no service`);
}
