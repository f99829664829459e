/**
 * Reads what `deno test --junit-path` writes.
 *
 * @module
 */

/** What came of one test. */
export interface TestResult {
  /** The test's file, from where the tests were started; null where no test began. */
  file: string | null;
  name: string;
  seconds: number;
  outcome: "passed" | "failed" | "skipped";
}

const ENTITIES: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

function unescape(text: string): string {
  return text.replace(
    /&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi,
    (whole, decimal, hex, name) =>
      decimal !== undefined
        ? String.fromCodePoint(Number(decimal))
        : hex !== undefined
        ? String.fromCodePoint(parseInt(hex, 16))
        : ENTITIES[name] ?? whole,
  );
}

/** Reads the tests of a report, without their steps, whose names follow their test's and ` > `. */
export function readJunit(xml: string): TestResult[] {
  const cases = [...xml.matchAll(
    /<testcase name="([^"]*)" classname="([^"]*)" time="([\d.]+)"[^>]*?(?:\/>|>(.*?)<\/testcase>)/gs,
  )].map(([, name, file, seconds, body = ""]): TestResult => ({
    file: unescape(file!),
    name: unescape(name!),
    seconds: Number(seconds),
    outcome: /<(failure|error)\b/.test(body)
      ? "failed"
      : body.includes("<skipped")
      ? "skipped"
      : "passed",
  }));
  const names = new Set(cases.map(({ file, name }) => `${file} ${name}`));
  const isStep = ({ file, name }: TestResult) =>
    [...name.matchAll(/ > /g)].some(({ index }) => names.has(`${file} ${name.slice(0, index)}`));
  return cases.filter((test) => !isStep(test));
}

/** The slowest tests, a line each. */
export function slowest(tests: readonly TestResult[], count: number): string {
  const lines = tests.toSorted((a, b) => b.seconds - a.seconds).slice(0, count).map(
    ({ file, name, seconds }) => `${seconds.toFixed(1).padStart(7)} s  ${file}: ${name}`,
  );
  return [`The slowest ${lines.length} of ${tests.length} tests:`, ...lines].join("\n");
}
