/** Reads what `deno test --junit-path` writes. */

/** What came of one test. */
export interface TestResult {
  /** The test's file, from where the tests were started; null where no test began. */
  file: string | null;
  name: string;
  seconds: number;
  outcome: "passed" | "failed" | "skipped";
  /** What it failed of, or its first step that did, in one line; null where nothing is known. */
  fault: string | null;
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

/** What a failure's message says, in one line; none of a test of which steps failed. */
function faultOf(body: string): string | null {
  const [, message = ""] = /<(?:failure|error) message="([^"]*)"/.exec(body) ?? [];
  const line = unescape(message).replace(/^Uncaught /, "").replace(/\s+/g, " ");
  return /^$|^\d+ test steps? failed/.test(line) ? null : line;
}

/**
 * Reads the tests of a report, without their steps, whose names follow their test's and ` > `. A step
 * that failed tells its test's fault.
 */
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
    fault: faultOf(body),
  }));
  const named = new Map(cases.map((test) => [`${test.file} ${test.name}`, test]));
  return cases.filter((test) => {
    const parents = [...test.name.matchAll(/ > /g)].map(({ index }) =>
      named.get(`${test.file} ${test.name.slice(0, index)}`)
    );
    const parent = parents.find((found) => found !== undefined);
    if (parent !== undefined) parent.fault ??= test.fault;
    return parent === undefined;
  });
}

/** The slowest tests, a line each. */
export function slowest(tests: readonly TestResult[], count: number): string {
  const lines = tests.toSorted((a, b) => b.seconds - a.seconds).slice(0, count).map(
    ({ file, name, seconds }) => `${seconds.toFixed(1).padStart(7)} s  ${file}: ${name}`,
  );
  return [`The slowest ${lines.length} of ${tests.length} tests:`, ...lines].join("\n");
}
