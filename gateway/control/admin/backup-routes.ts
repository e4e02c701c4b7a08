/** `GET /v1/backup`: everything the gateway knows, as one file. */
import { openSync, createReadStream, rmSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { randomBytes } from "node:crypto";
import { BACKUP_PREFIX } from "#control/store/store.ts";
import { route, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";

const TYPE = "application/vnd.sqlite3";

export function backupRoutes({ store, dataDir }: Services): RouteSpec[] {
  return [
    route({
      method: "GET",
      path: "/v1/backup",
      operationId: "getBackup",
      summary: "All revisions, modules, tokens and the audit log in one file; `penstock restore` takes it",
      tag: "config",
      access: "admin",
      responses: { 200: { description: "An SQLite database", type: TYPE } },
      handle: async ({ identity }) => {
        const path = join(dataDir, `${BACKUP_PREFIX}${randomBytes(6).toString("hex")}`);
        try {
          await store.backup(path, identity.who);
          // The file goes when the last of it is sent or the client is gone: its name is given up already.
          const fd = openSync(path, "r");
          const stream = Readable.toWeb(createReadStream("", { fd }));
          return { stream: stream as ReadableStream<Uint8Array>, headers: { "content-type": TYPE } };
        } finally {
          rmSync(path, { force: true });
          rmSync(`${path}-journal`, { force: true });
        }
      },
    }),
  ];
}
