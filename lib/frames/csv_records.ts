/**
 * Splits CSV text into records.
 *
 * @module
 */

/** One record of a CSV text. */
export interface CsvRecord {
  /** The line on which it begins, from 1: a quoted field may hold line breaks. */
  line: number;
  fields: string[];
}

/** An unquoted field up to its end; a quote within it stands for itself. */
const PLAIN = /[^,\r\n]*/y;
const LINE_BREAK = /\r\n|\r|\n/y;

/**
 * The records of a CSV text, read as Python's `csv.reader` does with its default dialect, since that
 * module (or code that imitates it) wrote most CSV files that reach us. Blank lines are skipped.
 *
 * Written by hand because no CSV package agrees with Python about quotes inside of fields, which
 * Locust 1.0 writes unescaped.
 *
 * @param text The text.
 *
 * @example
 * ```ts
 * import { csvRecords } from "./csv_records.ts";
 *
 * const records = [...csvRecords('name,count\n"a ""b"", c",3\n')];
 * console.assert(records[1]!.fields[0] === 'a "b", c' && records[1]!.line === 2);
 * ```
 */
export function* csvRecords(text: string): Generator<CsvRecord> {
  let at = 0;
  let line = 1;
  const match = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? "";
    at += found.length;
    return found;
  };
  while (at < text.length) {
    const record: CsvRecord = { line, fields: [] };
    do {
      let field = "";
      if (text[at] === '"') {
        const end = closingQuote(text, at + 1);
        const quoted = text.slice(at + 1, end);
        line += quoted.match(/\r\n|\r|\n/g)?.length ?? 0;
        field = quoted.replaceAll('""', '"');
        at = Math.min(end + 1, text.length);
      }
      record.fields.push(field + match(PLAIN));
    } while (text[at] === "," && ++at);
    match(LINE_BREAK);
    line++;
    if (record.fields.length > 1 || record.fields[0] !== "") yield record;
  }
}

/** Where the quote that ends a field stands; the text's end where there is none. */
function closingQuote(text: string, from: number): number {
  let at = text.indexOf('"', from);
  while (at >= 0 && text[at + 1] === '"') at = text.indexOf('"', at + 2);
  return at < 0 ? text.length : at;
}
