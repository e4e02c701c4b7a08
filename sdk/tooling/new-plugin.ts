/** Makes the folder of a new plugin: a source that works, a table of cases that passes, and what to do next. */
import { access, mkdir, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

const NAME = /^[a-z][a-z0-9-]{0,62}$/;

const SOURCE = `import { Request, Response, Action, config, respond } from "penstock/assembly"

// Before the upstream sees the request.
export function onRequest(req: Request): Action {
  const greeting = config().get("greeting")
  if (greeting === null) return respond(500, "the route does not configure a greeting\\n")
  req.setHeader("x-greeting", greeting)
  return Action.Continue
}

// Before the client sees the response.
export function onResponse(req: Request, res: Response): Action {
  res.setHeader("x-plugin", "NAME")
  return Action.Continue
}
`;

const CASES = `[
  {
    "config": { "greeting": "hello" },
    "cases": [
      {
        "name": "the upstream is greeted",
        "request": { "method": "GET", "path": "/", "headers": { "accept": "*/*" } },
        "expect": { "verdict": "continue", "request": { "x-greeting": "hello" }, "fuelMax": 5000 }
      },
      {
        "name": "the client learns who was here",
        "response": { "status": 200 },
        "expect": { "verdict": "continue", "response": { "x-plugin": "NAME" } }
      }
    ]
  },
  {
    "cases": [
      {
        "name": "without a greeting",
        "expect": { "verdict": "reply", "status": 500, "body": "the route does not configure a greeting\\n" }
      }
    ]
  }
]
`;

const README = `# NAME

A Penstock plugin in LANGUAGE.

    penstock plugin test NAME                   build it and run the cases of test/*.json, without a gateway
    penstock plugin build NAME                  write build/NAME.wasm
    penstock plugin push TENANT/NAME@1 NAME     upload it as version 1; a route of the tenant names it \`NAME@1\`

- \`SOURCE\`: the hooks, as \`onConfigure(): bool\`, \`onRequest(req)\`, \`onResponse(req, res)\`, \`onEnd(req)\`; bodies,
  streams, the clock and messages have theirs too.
- \`test/cases.json\`: requests, and what is expected of the plugin.
`;

/** For editors: AssemblyScript's types, and the SDK's place. */
const TSCONFIG = `{
  "extends": "assemblyscript/std/assembly.json",
  "include": ["./**/*.ts"]
}
`;

/** Types by erasing: what the builder can take off. */
const COMPONENT_TSCONFIG = `{
  "compilerOptions": {
    "target": "esnext",
    "lib": ["esnext"],
    "module": "preserve",
    "strict": true,
    "noEmit": true,
    "allowImportingTsExtensions": true,
    "erasableSyntaxOnly": true,
    "verbatimModuleSyntax": true
  },
  "include": ["src"]
}
`;

export const LANGUAGES = ["assemblyscript", "ts"] as const;
export type Language = (typeof LANGUAGES)[number];

/** The same plugin in each. */
function filesOf(language: Language): readonly (readonly [string, string])[] {
  if (language === "assemblyscript") {
    return [
      ["assembly/index.ts", SOURCE],
      ["assembly/tsconfig.json", TSCONFIG],
      ["test/cases.json", CASES],
      ["README.md", README.replace("LANGUAGE", "AssemblyScript").replace("SOURCE", "assembly/index.ts")],
    ];
  }
  const source = SOURCE.replace(
    "Request, Response, Action, config, respond",
    "type Request, type Response, Action, config, respond",
  );
  return [
    ["src/index.ts", source.replace("penstock/assembly", "penstock/plugin")],
    ["tsconfig.json", COMPONENT_TSCONFIG],
    // A JavaScript engine costs more than the plugin.
    ["test/cases.json", CASES.replace('"fuelMax": 5000', '"fuelMax": 500000')],
    ["README.md", README.replace("LANGUAGE", "TypeScript").replace("SOURCE", "src/index.ts")],
  ];
}

/** Answers the files that it wrote. Throws TypeError for a bad name or a folder that exists. */
export async function newPlugin(
  directory: string,
  name: string,
  language: Language = "assemblyscript",
): Promise<string[]> {
  if (!NAME.test(name)) {
    throw new TypeError(`${JSON.stringify(name)} is no name for a plugin: lower-case letters, digits and hyphens`);
  }
  const folder = resolve(directory, name);
  if (await exists(folder)) throw new TypeError(`${folder} exists`);
  const written: string[] = [];
  for (const [file, content] of filesOf(language)) {
    const path = join(folder, file);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content.replaceAll("NAME", name), { flag: "wx" });
    written.push(path);
  }
  return written;
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
