// What the scenarios share: a browser, pages, and what is asked of the API beside it.
import { createRequire } from 'node:module';
import assert from 'node:assert/strict';

const { MODULES, BASE, KEY, CHROMIUM } = process.env;
const require = createRequire(`${MODULES}/`);
const { chromium } = require('playwright-core');
const axe = require('axe-core');

export const base = BASE;
export const password = 'correct horse battery';
export { assert };

/** Asks the API with the operator's key. */
export async function api(method, path, body) {
  const headers = { Authorization: `Bearer ${KEY}`, 'Content-Type': 'application/json' };
  const answer = await fetch(`${BASE}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

/** Adds a user who can sign in. */
export async function user(name, role, tenant_id) {
  await api('POST', '/users/', { name, password, role, tenant_id });
}

/** Runs a scenario in a browser of its own; nothing that a page says may go wrong unseen. */
export async function run(scenario, options = {}) {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  try {
    const context = await browser.newContext({ locale: 'en-GB', timezoneId: 'UTC', ...options });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    const wrong = [];
    page.on('pageerror', (error) => wrong.push(`error: ${error.message}`));
    page.on('console', (message) => {
      // The browser says so of every answer that is no success; those are looked at by the scenarios.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) wrong.push(message.text());
    });
    page.on('dialog', (dialog) => dialog.accept());
    await scenario(page, context);
    assert.deepEqual(wrong, []);
  } finally {
    await browser.close();
  }
}

export async function signIn(page, name) {
  await page.goto(`${BASE}/sign-in`);
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
}

/** No fault of the page that keeps people from using it. */
export async function assertAccessible(page) {
  // Pages permit no script but their own; this one is the browser's.
  const found = await page.evaluate(`${axe.source}; axe.run()`);
  const grave = found.violations.filter((fault) => ['serious', 'critical'].includes(fault.impact));
  const told = grave.map((fault) => `${fault.id}: ${fault.nodes.map((node) => node.html).join(' ')}`);
  assert.deepEqual(told, [], page.url());
}
