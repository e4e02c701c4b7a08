/** The short filter in TypeScript, built by the bench. */
import { Action, config, type Request, respond } from "penstock/plugin";

export function onRequest(req: Request): Action {
  if (req.header("x-token") !== config().get("token")) return respond(401, "no token\n");
  req.setHeader("x-checked", "1");
  return Action.Continue;
}
