// test lane: checkout
import assert from "node:assert/strict";
import { incompleteBeta, studentTCdf, studentTQuantile } from "./probability.ts";

function close(actual: number, expected: number, tolerance = 1e-6): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);
}

Deno.test("studentTQuantile() agrees with @stdlib/stats-base-dists-t-quantile 0.2.3 to 1e-10", () => {
  const table: [number, number, number][] = [
    [0.975, 1, 12.706204736174694],
    [0.975, 2, 4.302652729749462],
    [0.975, 3, 3.182446305283708],
    [0.975, 4, 2.776445105197794],
    [0.975, 5, 2.570581835636314],
    [0.975, 9, 2.262157162798205],
    [0.975, 30, 2.0422724563012378],
    [0.975, 120, 1.9799304050824404],
    [0.995, 5, 4.032142983555228],
    [0.95, 2, 2.9199855803537242],
    [0.999, 10, 4.14370049404659],
    [0.9999, 4, 13.033671720896823],
    [0.6, 7.5, 0.26250189880429464],
    [0.999999, 59, 5.272988377762017],
  ];
  for (const [p, degrees, t] of table) close(studentTQuantile(p, degrees), t, 1e-10 * t);
});

Deno.test("studentTQuantile() meets the closed forms of one and two degrees", () => {
  for (const p of [0.001, 0.2, 0.5, 0.8, 0.9999]) {
    const one = Math.tan(Math.PI * (p - 0.5));
    close(studentTQuantile(p, 1), one, 1e-9 * Math.max(1, Math.abs(one)));
    const two = (2 * p - 1) / Math.sqrt(2 * p * (1 - p));
    close(studentTQuantile(p, 2), two, 1e-9 * Math.max(1, Math.abs(two)));
  }
});

Deno.test("studentTQuantile() nears the normal quantile with many degrees", () => {
  close(studentTQuantile(0.975, 1e6), 1.959966, 1e-5);
});

Deno.test("studentTCdf() inverts the quantile", () => {
  for (const p of [0.01, 0.3, 0.7, 0.975]) close(studentTCdf(studentTQuantile(p, 7), 7), p, 1e-10);
});

Deno.test("incompleteBeta() meets closed forms", () => {
  close(incompleteBeta(0.3, 1, 1), 0.3, 1e-14); // uniform
  close(incompleteBeta(0.3, 2, 1), 0.09, 1e-14); // x²
  close(incompleteBeta(0.5, 4, 4), 0.5, 1e-14); // symmetric
});

Deno.test("incompleteBeta() agrees with @stdlib/math-base-special-betainc 0.2.3", () => {
  const table: [number, number, number, number][] = [
    [0.3, 0.5, 2, 0.7394254526319745],
    [0.9, 10, 0.5, 0.1516409096347099],
    [0.01, 3, 40, 0.008583853799733485],
    [0.5, 100, 120, 0.9117960627949815],
    [0.99, 2.5, 0.5, 0.8310822789720563],
  ];
  for (const [x, a, b, p] of table) close(incompleteBeta(x, a, b), p, 1e-12);
});

Deno.test("studentTQuantile() throws when asked for nonsense", () => {
  assert.throws(() => studentTQuantile(1, 4), /t quantile 1 /);
  assert.throws(() => studentTQuantile(0.9, 0), /0 degrees/);
});
