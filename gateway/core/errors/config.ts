import { thrower } from "#core/errors.ts";

/** What can be wrong with a declaration, one code a finding; `PENSTOCK_CONFIG_INVALID` carries them all. */
export const CONFIG_ERRORS = {
  PENSTOCK_CONFIG_INVALID: {
    message: "the declaration was refused",
    status: 422,
    hint: "every finding names the place by JSON pointer; nothing was changed",
  },
  PENSTOCK_CONFIG_CONFLICT: {
    message: "the declaration takes what belongs to another",
    status: 409,
    hint: "the finding names who has it; nothing was changed",
  },
  PENSTOCK_CONFIG_SYNTAX: {
    message: "the text is not well formed",
    status: 400,
    hint: "the finding names line and column, and how to mend it",
  },
  PENSTOCK_CONFIG_READ: {
    message: "a file of the declaration can't be read",
    status: 400,
    hint: "paths are relative to the file that names them",
  },
  PENSTOCK_CONFIG_UNKNOWN_FIELD: {
    message: "no such field",
    status: 422,
    hint: "the schema is at /v1/schema",
  },
  PENSTOCK_CONFIG_UNSUPPORTED: {
    message: "not supported by this version",
    status: 422,
    hint: "leave it out; it is refused so that nothing you count on is missing silently",
  },
  PENSTOCK_CONFIG_REQUIRED: {
    message: "a required field is missing",
    status: 422,
    hint: "the schema is at /v1/schema",
  },
  PENSTOCK_CONFIG_TYPE: {
    message: "the value has the wrong type",
    status: 422,
    hint: "in YAML, quote numbers and booleans that are meant as text",
  },
  PENSTOCK_CONFIG_VALUE: {
    message: "the value is out of range or malformed",
    status: 422,
    hint: "the schema is at /v1/schema",
  },
  PENSTOCK_CONFIG_ADDRESS: {
    message: "not an address",
    status: 422,
    hint: '"127.0.0.1:8080", "[::1]:8080" or "unix:/path"',
  },
  PENSTOCK_CONFIG_DUPLICATE: {
    message: "the name or address is taken by an earlier entry",
    status: 422,
    hint: "rename or remove one of them",
  },
  PENSTOCK_CONFIG_REFERENCE: {
    message: "refers to what is not declared",
    status: 422,
    hint: "declare it, or mend the name",
  },
  PENSTOCK_CONFIG_MODULE: {
    message: "the plugin's module is not here",
    status: 422,
    hint: "`penstock apply` and `run -f` upload the files a declaration names; by REST, upload it first",
  },
  PENSTOCK_CONFIG_HOST_TAKEN: {
    message: "another tenant has claimed this host",
    status: 409,
    hint: "a host belongs to one tenant; the more specific claim wins",
  },
  PENSTOCK_CONFIG_HOST_FOREIGN: {
    message: "the host does not belong to the route's tenant",
    status: 422,
    hint: "add it to the tenant's hosts, or take it from the route",
  },
  PENSTOCK_CONFIG_SIGNATURE: {
    message: "the plugin's signature is missing or not good",
    status: 422,
    hint: "sign it with `penstock plugin push --key FILE`; the tenant's `publicKeys` say whose signatures count",
  },
  PENSTOCK_CONFIG_QUOTA: {
    message: "more than the tenant's quota",
    status: 422,
    hint: "remove something, or have the operator raise the quota",
  },
  PENSTOCK_CONFIG_GRANT: {
    message: "the tenant was not granted this",
    status: 422,
    hint: "the operator grants listeners, upstreams and maps in the tenant's `allow`",
  },
} as const;

export type ConfigErrorCode = keyof typeof CONFIG_ERRORS;

export const configError = thrower(CONFIG_ERRORS);
