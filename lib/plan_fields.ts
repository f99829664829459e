/**
 * What a plan file may hold, for its checks and for its JSON Schema. Each message says what its field
 * must be; the settings of a scenario have rules of their own.
 *
 * @module
 */

import { z } from "zod";

const NAME = "a text of lower-case letters, digits, - and _";
const COUNT = "a whole number of at least 1";
const SECONDS = "a number of at least 0";
const ABOVE = "a number above 0";
const SHARES = "a list of numbers above 0";
const APP = "the path of a folder, or a record of one";
const APPS = "an object of folders by name";
const SCENARIOS = "a list of scenarios";

const count = () => z.int(COUNT).min(1, COUNT);
const warmUpS = z.number(SECONDS).min(0, SECONDS)
  .describe("Seconds between the start of the load and the measurement window.");
const windowS = z.number(ABOVE).gt(0, ABOVE)
  .describe("Length of the measurement window in seconds.");

const OPEN_LOOP = z.strictObject({
  shares: z.array(z.number(ABOVE).gt(0, ABOVE), SHARES).min(1, SHARES)
    .describe(
      "Arrival rates as shares of what the weaker of two compared arms answered; each above 0.",
    ),
  rounds: count().describe("Passes over all of its scenarios."),
  warmUpS,
  windowS,
}, "an object");

/** A plan file; `$schema` is an editor's own, which finds the schema by it. */
export const PLAN_FILE = z.strictObject({
  $schema: z.string("a text").optional(),
  name: z.string(NAME).regex(/^[a-z0-9][a-z0-9_-]*$/, NAME)
    .describe("The plan's name; the study's name begins with it."),
  purpose: z.string("a text").optional()
    .describe("One sentence: what the plan is for."),
  functionalCheck: z.boolean("true or false").optional()
    .describe("True when the plan is too short to conclude anything; every report of it says so."),
  warmUpS,
  windowS,
  rounds: count().describe("Passes over all scenarios."),
  maxRounds: count().optional()
    .describe("Rounds to which undecided comparisons are extended at most; no fewer than rounds."),
  seed: z.int("a whole number").optional()
    .describe("Seed of the order within each round and of the load's choices."),
  scenarios: z.array(z.record(z.string(), z.unknown(), "an object"), SCENARIOS).min(1, SCENARIOS)
    .describe("The cells: whatever differs from the defaults."),
  apps: z.record(
    z.string(),
    z.union([z.string(), z.looseObject({ folder: z.string() })], APP),
    APPS,
  )
    .optional()
    .describe(
      "Folders of apps that are not in apps/, by name; a scenario may name a path instead.",
    ),
  openLoop: OPEN_LOOP.optional()
    .describe("The open loop that follows: all arms again, at arrival rates."),
}, "an object");
