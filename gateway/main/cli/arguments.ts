/** Arguments of verbs, read strictly: what a verb doesn't take is wrong use. */
import { UsageError, type ParsedArgs } from "./verb.ts";

export function textOption({ values }: ParsedArgs, name: string): string | undefined {
  const value = values[name];
  return typeof value === "string" ? value : undefined;
}

export function textOptions({ values }: ParsedArgs, name: string): string[] {
  const value = values[name];
  const all = Array.isArray(value) ? value : value === undefined ? [] : [value];
  return all.filter((one): one is string => typeof one === "string");
}

export function flagOption({ values }: ParsedArgs, name: string): boolean {
  return values[name] === true;
}

export function requiredOption(args: ParsedArgs, name: string, what: string): string {
  const value = textOption(args, name);
  if (value === undefined) throw new UsageError(`--${name} is missing: ${what}`);
  return value;
}

/** Exactly the positionals that `names` lists; one whose name ends in "?" may be missing, and those after it. */
export function positionals(args: ParsedArgs, ...names: string[]): string[] {
  const given = args.positionals;
  const needed = names.filter((name) => !name.endsWith("?"));
  if (given.length < needed.length) throw new UsageError(`${needed[given.length] ?? "an argument"} is missing`);
  if (given.length > names.length) throw new UsageError(`"${given[names.length] ?? ""}" is one argument too many`);
  return [...given];
}
