import { Action, type Body, config, replyHeader, type Request, respond } from "penstock/plugin";

interface Operation {
  readonly query: string;
  readonly operationName?: string;
}

export function onRequest(request: Request): Action {
  return request.method === "POST" ? Action.Pause : refused(405, "only POST");
}

// The body is gathered until it is whole; only then the request goes on.
export function onRequestBody(request: Request, body: Body): Action {
  if (!body.isLast) return Action.Pause;
  const operation = read(body.text);
  if (operation === null) return refused(400, "no GraphQL operation");
  const depth = depthOf(operation.query);
  const most = config().integer("depth", 6);
  if (depth > most) return refused(400, `fields are nested ${depth} deep, more than ${most}`);
  return Action.Continue;
}

function read(text: string): Operation | null {
  try {
    const value: Partial<Operation> | null = JSON.parse(text);
    return typeof value?.query === "string" ? { query: value.query } : null;
  } catch {
    return null;
  }
}

/** Strings and comments left out, the deepest pair of braces. */
function depthOf(query: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [brace] of query.replace(/"(?:[^"\\]|\\.)*"|#.*/g, "").matchAll(/[{}]/g)) {
    depth += brace === "{" ? 1 : -1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

function refused(status: number, message: string): Action {
  replyHeader("content-type", "application/json");
  return respond(status, JSON.stringify({ errors: [{ message }] }));
}
