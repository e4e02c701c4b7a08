/** A word to a plugin that runs: its `on_message` hook, in every worker and on every route that uses it. */
import * as v from "valibot";
import { name as nameSchema } from "#control/config/primitives.ts";
import { readText } from "./body.ts";
import { missing, versions } from "./plugin-versions.ts";
import { route, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";

/** `MESSAGE_BYTES_MAX` of the interface. */
const MESSAGE_BYTES_MAX = 65_536;

const AnswerSchema = v.object({ worker: v.number(), route: v.string(), version: v.string(), answer: v.string() });

export function pluginMessageRoutes(services: Services): RouteSpec[] {
  return [
    route({
      method: "POST",
      path: "/v1/tenants/{tenant}/plugins/{name}/messages",
      operationId: "tellPlugin",
      summary: "Send a message to every running guest of the plugin, and get what each answers",
      tag: "plugins",
      access: "tenant-write",
      body: { types: ["text/plain"] },
      responses: {
        200: {
          description: "The answers of those that listen; none where nothing of it runs",
          schema: v.object({ answers: v.array(AnswerSchema) }),
        },
      },
      handle: async (call) => {
        const { params, request } = call;
        const plugin = nameSchema;
        if (!v.is(plugin, params["name"]) || !versions(call, services).some(({ name }) => name === params["name"])) {
          throw missing(call);
        }
        const text = await readText(request, "text/plain", MESSAGE_BYTES_MAX);
        const answers = await services.link.tell({
          tenant: params["tenant"] ?? "",
          plugin: params["name"] ?? "",
          message: new TextEncoder().encode(text),
        });
        return { body: { answers: answers.map((one) => ({ ...one, answer: Buffer.from(one.answer).toString() })) } };
      },
    }),
  ];
}
