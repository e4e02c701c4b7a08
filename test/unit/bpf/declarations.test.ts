import { expectTypeOf, it } from "vitest";
import type { ListenerGrant } from "#worker/protocol.ts";
import type {
  Declaration,
  InterfaceDeclaration,
  ListenerDeclaration,
  MapDeclaration,
  SteeringDeclaration,
} from "#bpf/manager/declarations.ts";
import type { InterfaceSpec, SteeringSpec } from "#snapshot/kernel.ts";
import type { MapSpec, Snapshot } from "#snapshot/snapshot.ts";

it("the kernel room's declarations are what a snapshot says", () => {
  expectTypeOf<MapSpec>().toExtend<MapDeclaration>();
  expectTypeOf<InterfaceSpec>().toExtend<InterfaceDeclaration>();
  expectTypeOf<SteeringSpec>().toExtend<SteeringDeclaration>();
  expectTypeOf<Pick<Snapshot, "maps" | "kernel">>().toExtend<Omit<Declaration, "listeners">>();
  expectTypeOf<{
    name: ListenerGrant["name"];
    addresses: ListenerGrant["address"][];
  }>().toExtend<ListenerDeclaration>();
});
