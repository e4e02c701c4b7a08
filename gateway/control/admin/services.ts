/** What the handlers work with, made once by `control.ts`. */
import type { Changes } from "#control/changes.ts";
import type { Events } from "#control/events.ts";
import type { Logger } from "#control/logger.ts";
import type { PluginLogs } from "#control/plugins/logs.ts";
import type { Store } from "#control/store/store.ts";
import type { SupervisorLink } from "#control/supervisor-link.ts";
import type { Uploads } from "#control/uploads.ts";

export interface Services {
  readonly store: Store;
  readonly link: SupervisorLink;
  readonly changes: Changes;
  readonly uploads: Uploads;
  readonly events: Events;
  readonly pluginLogs: PluginLogs;
  readonly log: Logger;
  /** Where control may write. */
  readonly dataDir: string;
  now(): number;
}
