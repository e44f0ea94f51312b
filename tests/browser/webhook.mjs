// The life of a webhook: made, tested, watched, failing, tried again.
import { api, assert, run, signIn, user } from './console.mjs';

const { RECEIVER } = process.env;
await user('olga', 'operator');
await run(async (page) => {
  await signIn(page, 'olga');
  await page.getByRole('link', { name: 'Webhooks' }).click();
  await page.getByRole('link', { name: 'Add a webhook' }).click();
  await page.getByLabel('Event type').fill('screening.completed');
  await page.getByLabel('URL').fill('nonsense:');
  await page.getByRole('button', { name: 'Add' }).click();
  await page.getByRole('alert').getByText('webhook_url', { exact: true }).waitFor();
  assert.equal(await page.getByLabel('Event type').inputValue(), 'screening.completed', 'what was typed is kept');
  await page.getByLabel('URL').fill(RECEIVER);
  await page.getByRole('button', { name: 'Add' }).click();
  const secret = await page.locator('.copyable code').textContent();
  assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
  await page.getByRole('link', { name: 'To the webhook' }).click();
  assert.ok(!(await page.content()).includes(secret), 'it is shown once');

  await page.getByRole('button', { name: 'Send a test' }).click();
  await page.getByRole('status').getByText('The test arrived.').waitFor();

  await page.getByText('Settings', { exact: true }).click();
  await page.getByLabel('Seconds before each retry').fill('1');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('1 s', { exact: true }).waitFor();

  // Arrives without a reload. The receiver fails twice for each event.
  await page.getByRole('link', { name: 'Deliveries', exact: true }).click();
  await page.getByText('There are none.').waitFor();
  const event = await api('POST', '/events/', { event_type: 'screening.completed', payload: { id: 'r-1' } });
  await page.getByRole('cell', { name: 'failed', exact: true }).waitFor();
  await page.getByRole('link', { name: /^Details/ }).click();
  await page.getByRole('heading', { name: /failed/ }).waitFor();
  assert.equal(await page.locator('.timeline > li').count(), 2);
  await page.locator('summary').first().click();
  await page.getByText('Webhook-Signature').first().waitFor();
  await page.getByRole('button', { name: 'Try again now' }).click();
  await page.getByRole('heading', { name: /delivered/ }).waitFor();
  assert.equal(await page.locator('.timeline > li').count(), 3);

  await page.getByRole('link', { name: 'Events', exact: true }).click();
  await page.getByLabel('Event id').fill(event.id);
  await page.getByRole('button', { name: 'Search' }).click();
  await page.getByText('1 delivered').waitFor();
  await page.getByRole('link', { name: /^Why did it go/ }).click();
  await page.getByRole('button', { name: 'Explain' }).click();
  await page.getByText('There is a delivery; it is delivered.').waitFor();
  await page.getByRole('link', { name: 'To the event' }).click();
  await page.getByRole('button', { name: 'Send it again to all' }).click();
  await page.getByRole('link', { name: /^Details/ }).click();
  await page.locator('.timeline > li').nth(3).waitFor();

  await page.getByRole('link', { name: 'Formats' }).click();
  await page.getByRole('button', { name: 'Show what is sent' }).click();
  await page.getByText('Signed with').waitFor();
  await page.getByRole('textbox', { name: /^Payload/ }).fill('{"broken"');
  await page.getByRole('button', { name: 'Show what is sent' }).click();
  await page.getByRole('alert').getByText('payload', { exact: true }).waitFor();
  await page.getByRole('link', { name: 'Audit log' }).click();
  await page.getByRole('row', { name: /olga user delivery.retried/ }).waitFor();

  await page.getByRole('link', { name: 'Webhooks' }).click();
  await page.getByRole('link', { name: RECEIVER }).click();
  await page.getByRole('button', { name: 'Deactivate' }).click();
  await page.getByRole('button', { name: 'Reactivate', exact: true }).waitFor();
  await api('POST', '/events/', { event_type: 'screening.completed', payload: { id: 'r-2' } });
  await page.reload();
  await page.getByRole('button', { name: 'Reactivate and replay what it missed' }).click();
  await page.getByRole('heading', { name: 'Replay finished' }).waitFor();
  assert.equal(await page.locator('.figures div:nth-child(2) dd').first().textContent(), '1', 'what it missed was sent');
  await page.getByRole('link', { name: 'Webhooks' }).click();
  await page.getByRole('link', { name: RECEIVER }).click();
  await page.getByRole('img', { name: /^Attempts:/ }).waitFor();
  await page.getByText('Settings', { exact: true }).click();
  await page.getByLabel('Seconds before each retry').fill('1, x');
  await page.evaluate(() => { document.querySelector('[name=retry_schedule]').pattern = '.*'; });
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('alert').getByText('retry_schedule', { exact: true }).waitFor();
  await page.getByText('Settings', { exact: true }).click();
  await page.getByLabel('Description').fill('ours');
  await page.getByRole('combobox', { name: /^Wire format/ }).selectOption('anycheck');
  await page.getByRole('textbox', { name: 'Filters' }).fill('{"n": {"$lt": 12345678901234567890123}}');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Settings', { exact: true }).click();
  assert.equal(await page.getByLabel('Seconds for one attempt').inputValue(), '5', 'the timeout is the new format\'s');
  await page.getByRole('textbox', { name: 'Filters' }).fill('{"id": "r-1"}');
  await page.getByRole('button', { name: 'Try the filters on the newest events' }).click();
  await page.getByRole('row', { name: /^yes screening.completed/ }).waitFor();
  await page.getByRole('row', { name: /^no screening.completed .* id / }).waitFor();
  await page.goBack();
  await page.reload();
  await page.getByText('Settings', { exact: true }).click();
  const filters = await page.getByRole('textbox', { name: 'Filters' }).inputValue();
  assert.ok(filters.includes('12345678901234567890123'), `numbers stay as they are: ${filters}`);
  await page.getByRole('button', { name: 'Rotate the secret' }).click();
  await page.getByRole('heading', { name: 'The secret is rotated' }).waitFor();
  const rotated = await page.locator('.copyable code').textContent();
  assert.ok(rotated.startsWith('whsec_') && rotated !== secret, rotated);
  await page.getByRole('link', { name: 'To the webhook' }).click();
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByText('There are none yet.').waitFor();
});
