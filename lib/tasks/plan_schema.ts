/**
 * The JSON Schema of plan files, by which an editor completes and checks them.
 *
 * @module
 */

import { z } from "zod";
import { PLAN_FILE } from "../plan_fields.ts";
import { SERVERS } from "../server_settings.ts";
import { ruleSchema, type Setting, SETTINGS } from "../settings.ts";

/** A scenario by the table of settings, and any setting of the servers by its own name. */
function scenarioSchema() {
  const properties = Object.entries(SETTINGS as Record<string, Setting>)
    .map(([name, { doc, rule, default: preset }]) => [
      name,
      { description: doc, ...ruleSchema(rule), ...(preset !== undefined && { default: preset }) },
    ]);
  const ofServers = Object.entries(SERVERS).map(([server, title]) => [
    `^${server}\\.[a-z][a-z0-9_.]*$`,
    { description: `Any setting of ${title} by its own name.`, ...ruleSchema("text") },
  ]);
  return {
    type: "object",
    properties: Object.fromEntries(properties),
    required: ["framework", "path"],
    additionalProperties: false,
    patternProperties: Object.fromEntries(ofServers),
  };
}

/** The schema, as JSON text. */
export function planSchema(): string {
  const { properties, ...plan } = z.toJSONSchema(PLAN_FILE, { io: "input" });
  const scenarios = { ...properties!.scenarios as object, items: scenarioSchema() };
  const whole = { title: "A plan of Poolscope", ...plan, properties: { ...properties, scenarios } };
  return JSON.stringify(whole, null, 2) + "\n";
}
