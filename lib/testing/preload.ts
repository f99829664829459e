/**
 * Loaded before tests. `console.assert`, by which examples in comments say what holds, only prints, so
 * that no example could fail; and a test that waits for what never comes would keep all others from
 * being told.
 */

console.assert = (holds?: boolean, ...words: unknown[]): void => {
  if (holds !== true) throw new Error(["An assertion does not hold", ...words].join(": "));
};

/** Seconds in which the longest of all tests is over on a busy machine, twice over. */
const TEST_LIMIT_S = Number(Deno.env.get("POOLSCOPE_TEST_LIMIT_S") ?? 900);

type TestFunction = (t: Deno.TestContext) => void | Promise<void>;

/** Fails when its time is over, and says which step was running. */
function limited(test: TestFunction): TestFunction {
  return async (t) => {
    const running: string[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      const fail = () => {
        const step = running.length === 0 ? "" : `; its step "${running.at(-1)}" was running`;
        reject(new Error(`did not end within ${TEST_LIMIT_S} s${step}`));
      };
      timer = setTimeout(fail, TEST_LIMIT_S * 1000);
    });
    try {
      await Promise.race([Promise.resolve(test(noting(t, running))), late]);
    } finally {
      clearTimeout(timer);
    }
  };
}

/** A test's context that notes the steps as they run. */
function noting(t: Deno.TestContext, running: string[]): Deno.TestContext {
  const step = async (...of: unknown[]) => {
    const [first] = of as [string | { name: string }];
    running.push(typeof first === "string" ? first : first.name);
    try {
      return await (t.step as (...of: unknown[]) => Promise<boolean>)(...of);
    } finally {
      running.pop();
    }
  };
  return { name: t.name, origin: t.origin, parent: t.parent, step } as Deno.TestContext;
}

const register = Deno.test as unknown as (...of: unknown[]) => void;
const registerLimited = (...of: unknown[]) =>
  register(...of.map((one) => {
    if (typeof one === "function") return limited(one as TestFunction);
    const { fn } = one as { fn?: TestFunction };
    return fn === undefined ? one : { ...one as object, fn: limited(fn) };
  }));
Object.defineProperty(Deno, "test", { value: Object.assign(registerLimited, Deno.test) });
