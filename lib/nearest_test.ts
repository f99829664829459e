// test lane: checkout
import { doesNotThrow, equal, throws } from "node:assert/strict";
import { checkKeys, didYouMean, nearest } from "./nearest.ts";

Deno.test("nearest() forgives a slip or two, and takes no other word for a slip", () => {
  const known = ["smoke", "quick", "reference", "seed", "control"];
  const cases: [string, string | null][] = [
    ["quikc", "quick"],
    ["QUICK", "quick"],
    ["refernce", "reference"],
    ["referenz", "reference"],
    ["sed", "seed"],
    ["nightly", null],
    ["", null],
  ];
  for (const [name, expected] of cases) equal(nearest(name, known), expected, name);
  equal(nearest("newset", ["newest"]), "newest");
  equal(nearest("x", []), null);
  equal(didYouMean("poolmode", ["poolMode"]), ' (did you mean "poolMode"?)');
  equal(didYouMean("nightly", known), "");
});

Deno.test("checkKeys() names the unknown key and the nearest known one", () => {
  const known = { study: true, plan: true } as const;
  doesNotThrow(() => checkKeys("runStudy()", { plan: 1, study: undefined }, known));
  throws(
    () => checkKeys("runStudy()", { studdy: 1 }, known),
    /option "studdy" of runStudy\(\): .*did you mean "study"\?\); the options are study, plan$/,
  );
});
