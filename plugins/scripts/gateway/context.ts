/** What the chain's pipelines know of a request. */
export interface Request {
  /** The route's name in `config.yaml`, once the router has found it. */
  service?: string;
  target?: string | undefined;
  method?: string;
  path?: string;
  startedMs?: number;
  user?: string;
}
