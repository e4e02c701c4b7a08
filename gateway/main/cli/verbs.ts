/** Every verb that talks to a running gateway or helps a plugin's author, by name. */
import { apply, diff } from "./apply.ts";
import { audit } from "./audit.ts";
import { backup, restore } from "./backup.ts";
import { completionOf } from "./completion.ts";
import { explain } from "./explain.ts";
import { exportAll, get, remove } from "./get.ts";
import { kernel } from "./kernel.ts";
import { plugin } from "./plugin.ts";
import { profile } from "./profile.ts";
import { revisions, rollback } from "./revisions.ts";
import { logs } from "./logs.ts";
import { secret } from "./secret.ts";
import { tap } from "./tap.ts";
import { token } from "./token.ts";
import { top } from "./top.ts";
import type { Verb } from "./verb.ts";

export const VERBS: Readonly<Record<string, Verb>> = {
  apply,
  diff,
  get,
  delete: remove,
  export: exportAll,
  revisions,
  rollback,
  explain,
  plugin,
  secret,
  token,
  audit,
  backup,
  restore,
  kernel,
  top,
  tap,
  logs,
  profile,
  // `run`, `upgrade` and `doctor` need no gateway, and are loaded only to be asked for their options.
  completion: completionOf(async () => {
    const [{ run }, { upgrade }, { doctor }] = await Promise.all([
      import("#main/commands/run.ts"),
      import("#main/commands/upgrade.ts"),
      import("#main/commands/doctor.ts"),
    ]);
    return { run, upgrade, doctor, ...VERBS };
  }),
};
