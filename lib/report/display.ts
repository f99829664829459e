/** What notebooks and reports show beside figures: tables and text. */

import { escapeXml } from "../figures/style.ts";
import { formatNumber } from "../wording/format.ts";

/** One value of a table; null is shown as a dash. */
export type CellValue = string | number | null;

/** Numbers are aligned right, other values left. */
type Align = "left" | "right";

/** A column of a table or of a CSV file: its header, and its value of a row. */
export type ColumnOf<Row> = readonly [
  header: string,
  value: (row: Row) => CellValue,
  align?: Align,
];

/** A column that is aligned as numbers are. */
export function right<Row>(header: string, value: (row: Row) => CellValue): ColumnOf<Row> {
  return [header, value, "right"];
}

/** A column of numbers in one format. */
export function numeric<Row>(
  header: string,
  pick: (row: Row) => number | null | undefined,
  format: (value: number) => string = formatNumber,
): ColumnOf<Row> {
  return right(header, (row) => {
    const value = pick(row);
    return value == null ? null : format(value);
  });
}

/** A table, shown as HTML by Jupyter and written as Markdown for reports. */
export class Table {
  /**
   * @param caption What the table says, above it.
   * @param columns The columns.
   * @param rows The cells as they are shown.
   * @param marked The rows that are marked as failed, by index.
   */
  constructor(
    readonly caption: string,
    readonly columns: readonly { header: string; align?: Align }[],
    readonly rows: readonly (readonly CellValue[])[],
    readonly marked: ReadonlySet<number> = new Set(),
  ) {}

  /** The table as HTML with its styles inline. */
  html(): string {
    const cell = (tag: string, value: CellValue, i: number, style = "") => {
      const align = this.columns[i]?.align ?? "left";
      // A number and its unit, or the ends of an interval, read as one.
      const wrap = align === "right" && tag === "td" ? "white-space:nowrap;" : "";
      return `<${tag} style="text-align:${align};padding:3px 5px;vertical-align:top;${wrap}${style}">` +
        `${escapeXml(show(value).trim())}</${tag}>`;
    };
    const head = this.columns.map(({ header }, i) =>
      cell("th", header, i, "border-bottom:1px solid #7b8794;")
    );
    const body = this.rows.map((row, r) => {
      const style = this.marked.has(r) ? ' style="color:#c0262d"' : "";
      return `<tr${style}>${row.map((value, i) => cell("td", value, i)).join("")}</tr>`;
    });
    return `<table style="border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums">` +
      `<caption style="text-align:left;padding:4px 10px;font-weight:600">` +
      `${escapeXml(this.caption)}</caption>` +
      `<thead><tr>${head.join("")}</tr></thead><tbody>${body.join("")}</tbody></table>`;
  }

  /** The table as Markdown, under its caption. */
  markdown(): string {
    const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
    const text = (value: CellValue) =>
      show(value).trim().replaceAll("|", "\\|").replaceAll(/\s*\n\s*/g, " ");
    return [
      `**${this.caption}**`,
      "",
      line(this.columns.map(({ header }) => text(header))),
      line(this.columns.map(({ align }) => align === "right" ? "---:" : "---")),
      ...this.rows.map((row) => line(row.map(text))),
    ].join("\n");
  }

  /** The table as aligned text, without its caption. */
  lines(): string[] {
    const header = this.columns.map((column) => column.header);
    const rows = [header, ...this.rows.map((row) => row.map(show))];
    const widths = header.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
    const pad = (cell: string, i: number) =>
      this.columns[i]!.align === "right" ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!);
    return rows.map((row) => row.map(pad).join("  ").trimEnd());
  }

  /** The same as {@linkcode Table.markdown}. */
  toString(): string {
    return this.markdown();
  }

  /** How Jupyter shows it. */
  [Symbol.for("Jupyter.display")](): Record<string, string> {
    return {
      "text/html": this.html(),
      "text/markdown": this.markdown(),
      "text/plain": this.caption,
    };
  }
}

/** A table by its columns, of which `false` is left out; rows that failed are marked. */
export function tableOf<Row>(
  caption: string,
  rows: readonly Row[],
  columns: readonly (ColumnOf<Row> | false)[],
  isMarked: (row: Row) => boolean = () => false,
): Table {
  const shown = columns.filter((column) => column !== false);
  return new Table(
    caption,
    shown.map(([header, , align]) => ({ header, align })),
    rows.map((row) => shown.map(([, value]) => value(row))),
    new Set(rows.keys().filter((i) => isMarked(rows[i]!))),
  );
}

/** Text in Markdown, computed from data. */
export class Markdown {
  /** @param text The Markdown. */
  constructor(readonly text: string) {}

  /** How Jupyter shows it. */
  [Symbol.for("Jupyter.display")](): Record<string, string> {
    return { "text/markdown": this.text, "text/plain": this.text };
  }

  /** The Markdown itself. */
  toString(): string {
    return this.text;
  }
}

/** A part of a text; what is not there, and a condition that does not hold, are left out. */
export type Text = string | Markdown | Table | null | undefined | false;

/** Joins the texts that there are, without the empty ones. */
export function joinTexts(separator: string, ...texts: readonly Text[]): string {
  return texts.map((text) => text ? String(text) : "").filter((text) => text !== "")
    .join(separator);
}

function show(value: CellValue): string {
  return value === null ? "–" : String(value);
}
