// What failed is sent again: looked at, confirmed, watched, paused, finished.
import { api, assert, assertAccessible, run, signIn, user } from './console.mjs';

const { RECEIVER } = process.env;
const COUNT = 12;
await user('olga', 'operator');
const hook = await api('POST', '/webhooks/', { event_type: 'screening.completed', webhook_url: RECEIVER, retry_schedule: [] });
for (let n = 0; n < COUNT; n += 1) await api('POST', '/events/', { event_type: 'screening.completed', payload: { n } });
const failed = async () => (await api('GET', '/deliveries/?status=failed')).deliveries.length;
while (await failed() < COUNT) await new Promise((resolve) => setTimeout(resolve, 50));

await run(async (page) => {
  await signIn(page, 'olga');
  await page.getByRole('link', { name: 'Webhooks' }).click();
  await page.getByRole('link', { name: RECEIVER }).click();
  await page.getByRole('link', { name: 'Replay a period' }).click();
  assert.equal(await page.getByRole('textbox', { name: /^Webhook/ }).inputValue(), hook.id);
  await page.getByLabel('Events published since').fill('yesterday');
  await page.getByRole('button', { name: 'Show what that is' }).click();
  await page.getByRole('alert').getByText('since', { exact: true }).waitFor();
  await page.getByLabel('Events published since').fill('2026-01-01T00:00:00Z');
  await page.getByLabel('At most so many a second').fill('1');
  await page.getByRole('button', { name: 'Show what that is' }).click();
  await page.getByRole('heading', { name: `Replay ${COUNT} deliveries?` }).waitFor();
  await assertAccessible(page);
  await page.getByRole('button', { name: 'Send them again' }).click();
  await page.getByRole('heading', { name: 'Replay running' }).waitFor();
  await assertAccessible(page);
  // The bar moves without a reload.
  await page.waitForFunction(() => document.querySelector('progress')?.value > 0.1);
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('heading', { name: 'Replay paused' }).waitFor();
  assert.ok(await failed() > 0, 'it was not over yet');
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.getByRole('heading', { name: 'Replay finished' }).waitFor({ timeout: 60_000 });
  await page.locator('.percent', { hasText: '100 %' }).waitFor();
  assert.equal(await failed(), 0);
  await page.getByRole('link', { name: 'Deliveries', exact: true }).click();
  await page.getByRole('link', { name: /^Details/ }).first().click();
  await page.getByRole('link', { name: 'replayed' }).click();
  await page.getByRole('heading', { name: 'Replay finished' }).waitFor();
  await page.getByRole('link', { name: 'Replays' }).click();
  await page.getByRole('row', { name: /finished what was failed, discarded or missed/ }).waitFor();
});
