import * as settings from "penstock:plugin/config@1.0.0";

/** The route's configuration for this plugin: text by key. */
export class Config {
  /** The value, or null when the route does not set it. */
  get(key: string): string | null {
    return settings.get(key);
  }

  /** The value as an integer; `fallback` when it is not set or not one. */
  integer(key: string, fallback: number): number {
    const text = settings.get(key);
    return text !== null && /^-?\d{1,15}$/.test(text) ? Number(text) : fallback;
  }
}

const instance = new Config();

export function config(): Config {
  return instance;
}
