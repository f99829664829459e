/** `deno task docs`: writes the parts of docs/ that come from the code. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GATES } from "../diagnose/gates.ts";
import { READERS_VARIABLES } from "../setup/environment.ts";
import { ROOT } from "../store/layout.ts";
import { runTask } from "./cli.ts";
import { EXIT_STATUSES } from "./exit_status.ts";

/** The types of all events, as `lib/store/events.ts` has them. */
function eventTypes(): string {
  const source = readFileSync(join(ROOT, "lib", "store", "events.ts"), "utf8");
  const from = source.indexOf("/** The steps of a run");
  const to = source.indexOf("/** A {@linkcode StudyEvent} before it is given its time. */");
  return "```ts\n" + source.slice(from, to).trimEnd() + "\n```";
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
  return new Map(
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
}

if (import.meta.main) {
  await runTask("Usage: deno task docs", () => {
    for (const [page, text] of generatedPages()) writeFileSync(join(ROOT, page), text);
    return Promise.resolve();
  });
}
