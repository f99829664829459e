/**
 * Loaded before tests: `console.assert`, by which examples in comments say what holds, only prints,
 * so that no example could fail.
 */

console.assert = (holds?: boolean, ...words: unknown[]): void => {
  if (holds !== true) throw new Error(["An assertion does not hold", ...words].join(": "));
};
