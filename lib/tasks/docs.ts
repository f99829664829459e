/** `deno task docs`: writes the parts of docs/ that come from the code. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GATES } from "../diagnose/gates.ts";
import { READERS_VARIABLES } from "../setup/environment.ts";
import { ROOT } from "../store/layout.ts";
import { appSchema, type JsonSchema } from "../apps/app.ts";
import { appTitle } from "../apps/folders.ts";
import { FRAMEWORKS } from "../plan.ts";
import { createScenario } from "../scenario.ts";
import { REFUSED, type Server, SERVERS } from "../server_settings.ts";
import {
  describeRule,
  describeSetting,
  SCENARIO_KEYS,
  type Setting,
  SETTING_PARTS,
  settingOf,
  SETTINGS,
} from "../settings.ts";
import { EXIT_STATUSES } from "./exit_status.ts";
import { runTaskCommand, taskCommand } from "./options.ts";
import { planSchema } from "./plan_schema.ts";

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

/** The settings of each part, in sections. */
function settingSections(): string {
  const rows = Object.entries(SETTINGS as Record<string, Setting>);
  return Object.entries(SETTING_PARTS).map(([part, title]) => {
    const ofPart = rows.filter(([, { of }]) => of === part).map(([name, setting]) => [
      `\`${name}\``,
      describeRule(setting.rule).replace("null", "none"),
      describeDefault(name, setting),
      describeSetting(setting),
    ]);
    return `## ${title}\n\n${table([["setting", "values", "default", "what it is"], ...ofPart])}`;
  }).join("\n\n");
}

/** The servers' settings that cannot be given by their own names. */
function refusedSettings(): string[][] {
  const rows = Object.entries(SERVERS).flatMap(([server, title]) => {
    const named = SCENARIO_KEYS.flatMap((key) => {
      const name = settingOf(key)![server as Server];
      return name === undefined ? [] : [[name, key]];
    });
    const refused = REFUSED[server as Server].map(({ names, reason }) => [
      title,
      names.split(" ").map((name) => `\`${name}\``).join(", "),
      reason,
    ]);
    const ours = named.map(([name, key]) => [title, `\`${name}\``, `use \`${key}\``]);
    return [...ours, ...refused];
  });
  return [["of", "names", "why"], ...rows];
}

/** The keys of an `app.json`. */
function appKeys(): string[][] {
  const { properties, required } = appSchema();
  return Object.entries(properties ?? {}).filter(([key]) => key !== "$schema").map(
    ([key, value]) => {
      const { type, enum: words, default: preset, description } = value as JsonSchema;
      const otherwise = preset === undefined ? "–" : `\`${JSON.stringify(preset)}\``;
      return [
        `\`${key}\``,
        words?.map((word) => `\`${word}\``).join(", ") ?? String(type ?? "array or string"),
        required!.includes(key) ? "must be given" : otherwise,
        description!,
      ];
    },
  );
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
      ...READERS_VARIABLES.map(({ names, purpose }) => [
        names.map((name) => `\`${name}\``).join(", "),
        purpose,
      ]),
    ],
  },
  "docs/your-app.md": { app: () => [["key", "values", "default", "what it is"], ...appKeys()] },
  "docs/settings.md": { refused: refusedSettings, settings: settingSections },
  "docs/exit-status.md": {
    statuses: () => [
      ["status", "when"],
      ...EXIT_STATUSES.map(({ statuses, when }) => [statuses.join(", "), when]),
    ],
  },
};

/** A Markdown table as `deno fmt` writes it; the first row is its head. */
function table(rows: string[][]): string {
  const cells = rows.map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = cells[0]!.map((_, i) => Math.max(3, ...cells.map((row) => row[i]!.length)));
  const line = (row: string[]) =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
  const [head, ...body] = cells;
  return [line(head!), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join(
    "\n",
  );
}

/**
 * The pages with their generated parts as they must be now.
 *
 * @returns The text of each page, by its path within the checkout.
 */
export function generatedPages(): Map<string, string> {
  const pages = new Map(
    Object.entries(PAGES).map(([page, tables]) => {
      const text = readFileSync(join(ROOT, page), "utf8");
      const filled = Object.entries(tables).reduce(
        (filled, [name, part]) => {
          const content = part();
          return filled.replace(
            new RegExp(`(<!-- generated: ${name} -->\n)[^]*?(<!-- end -->)`),
            (_, begin, end) =>
              `${begin}\n${typeof content === "string" ? content : table(content)}\n\n${end}`,
          );
        },
        text,
      );
      return [page, filled];
    }),
  );
  return pages.set("docs/plan.schema.json", planSchema())
    .set("docs/app.schema.json", JSON.stringify(appSchema(), null, 2) + "\n");
}

if (import.meta.main) {
  const command = taskCommand("docs", "Writes the parts of docs/ that come from the code.");
  await runTaskCommand(command, () => {
    for (const [page, text] of generatedPages()) writeFileSync(join(ROOT, page), text);
    return Promise.resolve();
  });
}
