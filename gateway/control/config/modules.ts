/** A plugin's module: named by digest, and stored before it is declared. */
import type { Draft } from "./draft.ts";
import type { Report } from "./references.ts";

export function checkModules(draft: Draft, stored: (digest: string) => boolean, report: Report): void {
  for (const { pointer, value } of draft.plugins) {
    if (value.digest === undefined) {
      const detail =
        value.file === undefined
          ? `no version "${value.version}" of plugin "${value.name}" was uploaded; give its \`file\` (with \`penstock apply\` or \`run -f\`), or upload it first (\`penstock plugin push\`)`
          : `"${value.file}" is read by \`penstock apply\` and \`run -f\`; by REST, upload the module and give its \`digest\``;
      report(value.file === undefined ? pointer : `${pointer}/file`, "PENSTOCK_CONFIG_MODULE", detail);
    } else if (!stored(value.digest)) {
      report(
        `${pointer}/digest`,
        "PENSTOCK_CONFIG_MODULE",
        `no module with digest ${value.digest.slice(0, 12)}… was uploaded`,
      );
    }
  }
}
