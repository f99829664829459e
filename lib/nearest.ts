/** Names that were mistyped: what was meant, and errors for what is not known. */

import { UsageError } from "./errors.ts";

/** Insertions, deletions, replacements and swaps of neighbours that turn one text into the other. */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, replaced);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j]!, rows[i - 2]![j - 2]! + 1);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

/** The known name that somebody may have meant, whatever the case; null where none is near. */
export function nearest(name: string, known: readonly string[]): string | null {
  const distances = known.map((one) => editDistance(name.toLowerCase(), one.toLowerCase()));
  const best = distances.indexOf(Math.min(...distances));
  const length = known[best]?.length ?? 0;
  const limit = Math.max(1, Math.floor(length / 3));
  // A name of which nothing is left is another name.
  return best >= 0 && distances[best]! <= limit && distances[best]! < length ? known[best]! : null;
}

/** ` (did you mean "quick"?)` for a message, empty where nothing known is near. */
export function didYouMean(name: string, known: readonly string[]): string {
  const meant = nearest(name, known);
  return meant === null ? "" : ` (did you mean "${meant}"?)`;
}

/**
 * Checks the keys of an object of options, which a script or a cell may have mistyped.
 *
 * @param what What is called, for the message: `runStudy()`.
 */
export function checkKeys<T extends object>(
  what: string,
  options: object,
  known: Record<keyof T & string, true>,
): void {
  const names = Object.keys(known);
  for (const key of Object.keys(options)) {
    if (Object.hasOwn(known, key)) continue;
    throw new UsageError(
      `Cannot use option "${key}" of ${what}: there is no such option${
        didYouMean(key, names)
      }; the options are ${names.join(", ")}`,
    );
  }
}

/**
 * Checks that values are among those that there are.
 *
 * @param what What they are, for the message.
 * @param given The values. @default all
 */
export function checkChoices<T extends string>(
  what: string,
  given: readonly string[] | undefined,
  all: readonly T[],
): readonly T[] {
  const unknown = given?.find((value) => !all.includes(value as T));
  if (unknown === undefined) return (given ?? all) as readonly T[];
  throw new UsageError(
    `Cannot use ${what} "${unknown}"${didYouMean(unknown, all)}: choose from ${all.join(", ")}`,
  );
}
