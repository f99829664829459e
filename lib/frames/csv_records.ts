/** Splits CSV text into records. */

export interface CsvRecord {
  /** The line on which it begins, from 1: a quoted field may hold line breaks. */
  line: number;
  fields: string[];
}

/** What stands in quotes at the begin of a field, if anything; the text's end ends it too. */
const QUOTED = /(?:"([^"]*(?:""[^"]*)*)"?)?/y;
/** The rest of a field; a quote within it stands for itself. */
const PLAIN = /[^,\r\n]*/y;
const LINE_BREAK = /\r\n|\r|\n|$/y;

/**
 * The records of a CSV text, read as Python's `csv.reader` does with its default dialect, since that
 * module (or code that imitates it) wrote most CSV files that reach us. Blank lines are skipped.
 *
 * Written by hand because no CSV package agrees with Python about quotes inside of fields, which
 * Locust 1.0 writes unescaped.
 */
export function* csvRecords(text: string): Generator<CsvRecord> {
  let at = 0;
  let line = 1;
  const match = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const [found, inside = found] = pattern.exec(text)!;
    at += found.length;
    return inside;
  };
  while (at < text.length) {
    const record: CsvRecord = { line, fields: [] };
    do {
      const quoted = match(QUOTED);
      line += quoted.match(/\r\n|\r|\n/g)?.length ?? 0;
      record.fields.push(quoted.replaceAll('""', '"') + match(PLAIN));
    } while (text[at] === "," && ++at);
    match(LINE_BREAK);
    line++;
    if (record.fields.length > 1 || record.fields[0] !== "") yield record;
  }
}
