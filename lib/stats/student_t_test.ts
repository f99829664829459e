// test lane: checkout
import assert from "node:assert/strict";
import { incompleteBeta, studentTCdf, studentTQuantile } from "./student_t.ts";

function close(actual: number, expected: number, tolerance = 1e-6): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);
}

Deno.test("studentTQuantile() agrees with the published table", () => {
  // Two-sided 95%, NIST/SEMATECH e-Handbook §1.3.6.7.2, to more digits from R's qt().
  const table: [number, number, number][] = [
    [0.975, 1, 12.7062047],
    [0.975, 2, 4.3026527],
    [0.975, 3, 3.1824463],
    [0.975, 4, 2.7764451],
    [0.975, 5, 2.5705818],
    [0.975, 9, 2.2621572],
    [0.975, 30, 2.0422725],
    [0.975, 120, 1.9799304],
    [0.995, 5, 4.0321430],
    [0.95, 2, 2.9199856],
    [0.999, 10, 4.1437005],
  ];
  for (const [p, degrees, t] of table) close(studentTQuantile(p, degrees), t);
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

Deno.test("studentTQuantile() throws when asked for nonsense", () => {
  assert.throws(() => studentTQuantile(1, 4), /t quantile 1 /);
  assert.throws(() => studentTQuantile(0.9, 0), /0 degrees/);
});
