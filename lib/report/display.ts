/**
 * What notebooks and reports show beside figures: tables and text.
 *
 * @module
 */

/** One value of a table. */
export type CellValue = string | number | null;

/** A column of a table. */
export interface TableColumn {
  /** The header. */
  header: string;
  /** Numbers are aligned right. @default "left" */
  align?: "left" | "right";
}

/** A column of words. */
export function left(header: string): TableColumn {
  return { header };
}

/** A column of numbers. */
export function right(header: string): TableColumn {
  return { header, align: "right" };
}

/** A table, shown as HTML by Jupyter and written as Markdown for reports. */
export class Table {
  /** What the table says, above it. */
  readonly caption: string;
  readonly columns: readonly TableColumn[];
  /** The cells as they are shown; null is shown as a dash. */
  readonly rows: readonly (readonly CellValue[])[];
  /** The rows that are marked as failed, by index. */
  readonly marked: ReadonlySet<number>;

  /**
   * @param caption What the table says.
   * @param columns The columns.
   * @param rows The cells.
   * @param marked Rows that failed.
   */
  constructor(
    caption: string,
    columns: readonly TableColumn[],
    rows: readonly (readonly CellValue[])[],
    marked: ReadonlySet<number> = new Set(),
  ) {
    this.caption = caption;
    this.columns = columns;
    this.rows = rows;
    this.marked = marked;
  }

  /** The table as HTML with its styles inline. */
  html(): string {
    const align = (i: number) => this.columns[i]?.align ?? "left";
    const cell = (tag: string, value: CellValue, i: number, style = "") =>
      `<${tag} style="text-align:${align(i)};padding:3px 5px;vertical-align:top;${
        // A number and its unit, or the ends of an interval, read as one.
        align(i) === "right" && tag === "td" ? "white-space:nowrap;" : ""}${style}">${
        escapeHtml(show(value))
      }</${tag}>`;
    const head = this.columns.map(({ header }, i) =>
      cell("th", header, i, "border-bottom:1px solid #7b8794;")
    );
    const body = this.rows.map((row, r) => {
      const style = this.marked.has(r) ? ' style="color:#c0262d"' : "";
      return `<tr${style}>${row.map((value, i) => cell("td", value, i)).join("")}</tr>`;
    });
    return `<table style="border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums">` +
      `<caption style="text-align:left;padding:4px 10px;font-weight:600">${
        escapeHtml(this.caption)
      }</caption>` +
      `<thead><tr>${head.join("")}</tr></thead><tbody>${body.join("")}</tbody></table>`;
  }

  /** The table as Markdown, under its caption. */
  markdown(): string {
    const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
    const text = (value: CellValue) =>
      show(value).replaceAll("|", "\\|").replaceAll(/\s*\n\s*/g, " ");
    return [
      `**${this.caption}**`,
      "",
      line(this.columns.map(({ header }) => text(header))),
      line(this.columns.map(({ align }) => align === "right" ? "---:" : "---")),
      ...this.rows.map((row) => line(row.map(text))),
    ].join("\n");
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

/** Text in Markdown, computed from data. */
export class Markdown {
  readonly text: string;

  /** @param text The Markdown. */
  constructor(text: string) {
    this.text = text;
  }

  /** How Jupyter shows it. */
  [Symbol.for("Jupyter.display")](): Record<string, string> {
    return { "text/markdown": this.text, "text/plain": this.text };
  }

  /** The Markdown itself. */
  toString(): string {
    return this.text;
  }
}

function show(value: CellValue): string {
  return value === null ? "–" : String(value);
}

/** Text as it stands in HTML. */
export function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
