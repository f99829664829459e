/** A thing as it is, but for some of its methods. */

/** What acts as `whole` does, with other methods or values in the place of some of its own. */
export function override<T extends object>(whole: T, others: Partial<T>): T {
  return new Proxy(whole, {
    get(target, key) {
      if (key in others) return others[key as keyof T];
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
