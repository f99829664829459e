/** Settings of the servers as their programs read them. */

/** Settings of a server as lines of an ini file. */
export function iniLines(settings: Record<string, string>): string {
  return Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`).join("");
}

/** Settings of PostgreSQL as arguments of its program. */
export function postgresArguments(settings: Record<string, string>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}
