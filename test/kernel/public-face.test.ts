import { afterEach, beforeEach, expect, it } from "vitest";
import { describeKernel } from "#test/support/kernel.ts";
import { Namespace, removeLeftovers } from "#test/support/netns.ts";

describeKernel("import from penstock", () => {
  let here: Namespace;
  beforeEach(() => {
    removeLeftovers();
    here = new Namespace("script");
    here.ip("link", "add", "left", "type", "veth", "peer", "name", "right");
  });
  afterEach(() => here.destroy());

  it("serves a script that node runs as it is", () => {
    const found: unknown = JSON.parse(here.run(process.execPath, "test/support/script.ts"));
    expect(found).toEqual({
      programs: ["counter", "counter_tcx"],
      ids: [1, 1, 0],
      entries: [],
      size: 20,
      seen: true,
    });
  });
});
