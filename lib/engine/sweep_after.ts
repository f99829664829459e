/**
 * What a keeper runs when its owner has ended without a word: waits until the owner is gone for
 * good, then sweeps.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import { type Owner, ownerState } from "../store/owner.ts";
import { sweep } from "./cleanup.ts";

/** An ending process closes its files a moment before it is gone. */
const ATTEMPTS = 100;

if (import.meta.main) {
  const [folder = "", text = ""] = Deno.args;
  const owner: Owner = JSON.parse(text);
  for (let i = 0; i < ATTEMPTS && ownerState(owner) === "running"; i++) {
    await sleep(20);
  }
  await sweep(folder);
}
