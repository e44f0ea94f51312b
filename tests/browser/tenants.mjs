// Tenants help themselves, and see nothing else.
import { api, assert, base, run, signIn, user } from './console.mjs';

const { RECEIVER } = process.env;
const acme = await api('POST', '/tenants/', { name: 'acme' });
const other = await api('POST', '/tenants/', { name: 'other' });
const link = (role) => api('POST', '/portal-links/', { tenant_id: acme.id, role, expires_in: 60 });

const forAdmin = await link('tenant-admin');
await run(async (page) => {
  await page.goto(forAdmin.url);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  assert.equal(page.url(), `${base}/t/${acme.id}`);
  await page.getByRole('link', { name: 'Add a webhook' }).click();
  await page.getByLabel('Event type').fill('screening.completed');
  await page.getByLabel('URL').fill(RECEIVER);
  await page.getByRole('button', { name: 'Add' }).click();
  await page.getByRole('link', { name: 'To the webhook' }).click();
  await page.getByRole('link', { name: 'Keys' }).click();
  await page.getByLabel('Name').fill('ours');
  await page.getByRole('checkbox', { name: 'read' }).check();
  await page.getByRole('button', { name: 'Make' }).click();
  await page.getByRole('status').getByText('prk_').waitFor();
  for (const path of [`/t/${other.id}`, `/t/${other.id}/webhooks`, '/tenants', '/users']) {
    assert.equal((await page.goto(base + path)).status(), 404, path);
  }
});
await run(async (page) => {
  await page.goto(forAdmin.url);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('This link was used, or its time is over.').waitFor();
});

const forViewer = await link('tenant-viewer');
await run(async (page, context) => {
  await page.goto(forViewer.url);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('link', { name: 'Webhooks' }).click();
  assert.equal(await page.getByRole('link', { name: 'Add a webhook' }).count(), 0);
  await page.getByRole('link', { name: RECEIVER }).click();
  await page.getByRole('heading', { name: 'Latest deliveries' }).waitFor();
  assert.deepEqual(await page.locator('main button:visible:not(.copy)').allTextContents(), []);
  // What the page does not offer is refused, too: with a genuine token, and without one.
  const token = await page.locator('[name=csrf_token]').first().inputValue();
  for (const [form, status] of [[{ csrf_token: token }, 403], [{}, 403]]) {
    const answer = await context.request.post(`${page.url()}/delete`, { form, headers: { Origin: base } });
    assert.equal(answer.status(), status, await answer.text());
  }
  assert.equal((await page.goto(`${base}/t/${acme.id}/webhooks/new`)).status(), 200);
  await page.getByLabel('Event type').fill('screening.completed');
  await page.getByLabel('URL').fill(`${RECEIVER}/mine`);
  await page.getByRole('button', { name: 'Add' }).click();
  await page.getByRole('alert').getByText('scope').waitFor();
});

// Another site cannot act for whoever is signed in.
await user('anna', 'operator-admin');
await run(async (page, context) => {
  await signIn(page, 'anna');
  await page.goto(`${base}/t/${acme.id}/settings`);
  await page.getByLabel('Hidden fields of payloads').fill('client.name\noutput');
  await page.getByLabel('Payloads are kept').fill('never');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('alert').getByText('payload_retention', { exact: true }).waitFor();
  await page.getByLabel('Hidden fields of payloads').fill('client.name\noutput');
  await page.getByLabel('Payloads are kept').fill('on_success');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.waitForFunction(() => document.querySelector('[name=payload_retention]').value === 'on_success');
  assert.deepEqual((await api('GET', `/tenants/${acme.id}/`)).redacted_paths, ['client.name', 'output']);
  const token = await page.locator('[name=csrf_token]').first().inputValue();
  const add = async (csrf_token, origin) => {
    const answer = await context.request.post(`${base}/tenants`, {
      form: { name: `forged-${Math.random()}`, csrf_token }, headers: { Origin: origin }, maxRedirects: 0,
    });
    return answer.status();
  };
  assert.equal(await add('', base), 403);
  assert.equal(await add('wrong', base), 403);
  assert.equal(await add(token, 'https://evil.example'), 403);
  const names = (await api('GET', '/tenants/')).tenants.map((tenant) => tenant.name);
  assert.ok(!names.some((name) => name.startsWith('forged')), names.join());
  assert.equal(await add(token, base), 303);
});
