// test lane: checkout
import { deepStrictEqual as equal } from "node:assert/strict";
import { installKernelGuards, isInKernel, onKernelInterrupt, readKernelErrors } from "./guard.ts";

Deno.test("installKernelGuards() does nothing outside of a kernel", () => {
  equal(isInKernel(), false);
  equal(installKernelGuards(), false);
});

Deno.test("onKernelInterrupt() returns what takes the listener off", () => {
  onKernelInterrupt(() => {})();
});

Deno.test("readKernelErrors() of a file that was never written is empty", async () => {
  equal(await readKernelErrors("/poolscope-no-such-file"), []);
});
