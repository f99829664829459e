/** `deno task docs`: writes the parts of docs/ that come from the code. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { GATES } from "../diagnose/gate_table.ts";
import { READERS_VARIABLES } from "../setup/environment.ts";
import { ROOT } from "../store/layout.ts";
import { appSchema, type JsonSchema } from "../apps/app.ts";
import { appTitle } from "../apps/folders.ts";
import { FRAMEWORKS, PLAN_FILE } from "../plan.ts";
import { createScenario } from "../scenario.ts";
import { REFUSED, type Server, SERVERS } from "../server_settings.ts";
import {
  describeSetting,
  SCENARIO_KEYS,
  type Setting,
  settingOf,
  settingParts,
  SETTINGS,
} from "../settings.ts";
import { EXIT_STATUSES } from "./exit_status.ts";
import { runTaskCommand, taskCommand } from "./options.ts";

const SERVER_NAMES = Object.keys(SERVERS) as Server[];

/** The types of all events, as `lib/store/events.ts` has them. */
function eventTypes(): string {
  const source = readFileSync(join(ROOT, "lib", "store", "events.ts"), "utf8");
  const from = source.indexOf("/** The steps of a run");
  const to = source.indexOf("/** A {@linkcode StudyEvent} before it is given its time. */");
  return "```ts\n" + source.slice(from, to).trimEnd() + "\n```";
}

/** The default of a setting; each app's own where the table has none. */
function describeDefault(name: string, { default: preset }: Setting): string {
  if (preset === null) return "none";
  if (preset !== undefined) return String(preset);
  if (name === "framework" || name === "path") return "must be given";
  const byValue = Map.groupBy(FRAMEWORKS, (framework) => {
    const scenario = createScenario({ framework, path: "direct", users: 1 });
    return String(scenario[name as keyof typeof scenario]);
  });
  return [...byValue].map(([value, apps]) => `${value} (${apps.map(appTitle).join(", ")})`)
    .join(", ");
}

function settingSections(): string {
  return settingParts().map(([title, settings]) => {
    const rows = settings.map(([name, setting]) => [
      `\`${name}\``,
      setting.rule.words.replace("null", "none"),
      describeDefault(name, setting),
      describeSetting(setting),
    ]);
    return `## ${title}\n\n${table([["setting", "values", "default", "what it is"], ...rows])}`;
  }).join("\n\n");
}

function code(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(", ");
}

/** The servers' settings that cannot be given by their own names. */
function refusedSettings(): string[][] {
  const rows = SERVER_NAMES.flatMap((server) => {
    const named = SCENARIO_KEYS.flatMap((key) => {
      const name = settingOf(key)![server];
      return name === undefined ? [] : [[code([name]), `use \`${key}\``]];
    });
    const refused = Object.entries(REFUSED[server])
      .map(([names, reason]) => [code(names.split(" ")), reason]);
    return [...named, ...refused].map((row) => [SERVERS[server], ...row]);
  });
  return [["of", "names", "why"], ...rows];
}

function appKeys(): string[][] {
  const { $schema: _, ...properties } = appSchema().properties as Record<string, JsonSchema>;
  const rows = Object.entries(properties).map(([key, value]) => {
    const { type, enum: words, default: preset, description } = value;
    const otherwise = preset === undefined ? "–" : `\`${JSON.stringify(preset)}\``;
    return [
      `\`${key}\``,
      words === undefined ? String(type ?? "array or string") : code(words as string[]),
      appSchema().required!.includes(key) ? "must be given" : otherwise,
      description!,
    ];
  });
  return [["key", "values", "default", "what it is"], ...rows];
}

/** The tables of each page, or a text, by the name in its `<!-- generated: name -->`. */
const PAGES: Record<string, Record<string, () => string[][] | string>> = {
  "docs/gates.md": {
    gates: () => [
      ["gate", "kind", "fires when"],
      ...GATES.map(({ id, kind, fires }) => [`\`${id}\``, kind, fires]),
    ],
  },
  "docs/events.md": { types: eventTypes },
  "docs/environment.md": {
    variables: () => [
      ["variables", "what they decide"],
      ...Object.entries(READERS_VARIABLES).map(([names, purpose]) => [
        code(names.split(" ")),
        purpose,
      ]),
    ],
  },
  "docs/your-app.md": { app: appKeys },
  "docs/settings.md": { refused: refusedSettings, settings: settingSections },
  "docs/exit-status.md": {
    statuses: () => [["status", "when"], ...EXIT_STATUSES],
  },
};

/** A Markdown table as `deno fmt` writes it; the first row is its head. */
function table(rows: string[][]): string {
  const cells = rows.map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = cells[0]!.map((_, i) => Math.max(3, ...cells.map((row) => row[i]!.length)));
  const line = (row: string[]) =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
  const [head, ...body] = cells.map(line);
  return [head, line(widths.map((width) => "-".repeat(width))), ...body].join("\n");
}

/** The JSON Schema of a scenario: the table of settings, and any setting of the servers by its own name. */
function scenarioSchema() {
  const schemaOf = ({ doc, rule, default: preset }: Setting) => ({
    description: doc,
    ...rule.schema,
    ...(preset !== undefined && { default: preset }),
  });
  const properties = Object.entries<Setting>(SETTINGS).map(([name, row]) => [name, schemaOf(row)]);
  const ofServers = SERVER_NAMES.map((server) => [
    `^${server}\\.[a-z][a-z0-9_.]*$`,
    schemaOf(settingOf(`${server}.NAME`)!),
  ]);
  return {
    type: "object",
    properties: Object.fromEntries(properties),
    required: ["framework", "path"],
    additionalProperties: false,
    patternProperties: Object.fromEntries(ofServers),
  };
}

/** The JSON Schema of plan files, by which an editor completes and checks them. */
function planSchema() {
  const { properties, ...plan } = z.toJSONSchema(PLAN_FILE, { io: "input" });
  const scenarios = { ...properties!.scenarios as object, items: scenarioSchema() };
  return { title: "A plan of Poolscope", ...plan, properties: { ...properties, scenarios } };
}

/** All pages and schemas of docs/ with what is generated, by their paths. */
export function generatedPages(): Map<string, string> {
  const pages = new Map<string, string>();
  for (const [page, parts] of Object.entries(PAGES)) {
    let text = readFileSync(join(ROOT, page), "utf8");
    for (const [name, part] of Object.entries(parts)) {
      const content = part();
      text = text.replace(
        new RegExp(`(<!-- generated: ${name} -->\n)[^]*?(<!-- end -->)`),
        (_, begin, end) =>
          `${begin}\n${typeof content === "string" ? content : table(content)}\n\n${end}`,
      );
    }
    pages.set(page, text);
  }
  for (const [name, schema] of Object.entries({ plan: planSchema(), app: appSchema() })) {
    pages.set(`docs/${name}.schema.json`, JSON.stringify(schema, null, 2) + "\n");
  }
  return pages;
}

if (import.meta.main) {
  const command = taskCommand("docs", "Writes the parts of docs/ that come from the code.");
  await runTaskCommand(command, () => {
    for (const [page, text] of generatedPages()) writeFileSync(join(ROOT, page), text);
    return Promise.resolve();
  });
}
