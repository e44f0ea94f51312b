// Signing in and out.
import { assert, base, password, run, signIn, user } from './console.mjs';

await user('anna', 'operator-admin');
await run(async (page, context) => {
  await page.goto(`${base}/users`);
  assert.ok(page.url().includes('/sign-in?next=%2Fusers'), page.url());
  await page.getByLabel('Name').fill('anna');
  await page.getByLabel('Password').fill('not the password');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').getByText('The name or the password is wrong.').waitFor();
  assert.equal(await page.getByLabel('Name').inputValue(), 'anna', 'what was typed is kept');
  await page.getByLabel('Password').fill(password);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Users', exact: true }).waitFor();
  assert.equal(page.url(), `${base}/users`, 'where one wanted to go');
  const [cookie] = await context.cookies();
  assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, 'Lax']);
  assert.equal(await page.evaluate(() => document.cookie), '', 'no script sees it');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await context.addCookies([cookie]);
  await page.goto(`${base}/users`);
  assert.ok(page.url().includes('/sign-in'), 'the server has forgotten it');
});
// By keyboard alone.
await run(async (page) => {
  await page.goto(`${base}/`);
  await page.waitForFunction(() => document.activeElement.name === 'name');
  await page.keyboard.type('anna');
  await page.keyboard.press('Tab');
  await page.keyboard.type(password);
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the content');
});
// To read needs no script.
await run(async (page) => {
  await signIn(page, 'anna');
  await page.getByRole('link', { name: 'Deliveries' }).click();
  await page.getByRole('heading', { name: 'Deliveries' }).waitFor();
}, { javaScriptEnabled: false });
