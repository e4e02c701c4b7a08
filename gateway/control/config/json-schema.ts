/** JSON Schema of resources, made from the schemas that check them: for editors, and for the OpenAPI document. */
import { toJsonSchema } from "@valibot/to-json-schema";
import type { GenericSchema } from "valibot";
import { DeclarationSchema } from "./declaration.ts";

export type JsonSchema = Readonly<Record<string, unknown>>;

/** What a client sends: fields with defaults are optional. Checks that JSON Schema can't say are left out. */
export function jsonSchema(schema: GenericSchema): JsonSchema {
  const { $schema: _dialect, ...rest } = toJsonSchema(schema, {
    typeMode: "input",
    errorMode: "ignore",
    target: "draft-2020-12",
  });
  return rest;
}

let declaration: JsonSchema | undefined;

export function declarationJsonSchema(): JsonSchema {
  declaration ??= {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Penstock declaration",
    ...jsonSchema(DeclarationSchema),
  };
  return declaration;
}
