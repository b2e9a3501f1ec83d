// Named checks, run one after the other; the process fails if one of them does.
const checks = [];

export const check = (name, run) => checks.push([name, run]);

export async function runChecks() {
  let failed = 0;
  for (const [name, run] of checks) {
    try {
      await run();
      console.log(`ok    ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL  ${name}: ${error.stack.slice(0, 400)}`);
    }
  }
  console.log(`${checks.length - failed} of ${checks.length} passed`);
  process.exit(failed ? 1 : 0);
}
