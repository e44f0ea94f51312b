// Whatever others wrote is text: in every page, and in no script's hands. No page shuts people out.
import { api, assert, assertAccessible, base, run, signIn, user } from './console.mjs';

const { RECEIVER } = process.env;
const corpus = [
  '<script>window.stolen = 1</script>',
  '"><img src=x onerror="window.stolen = 1">',
  "' autofocus onfocus='window.stolen = 1",
  '</title><svg onload=window.stolen=1>',
  'javascript:window.stolen=1',
  '{{constructor.constructor("window.stolen=1")()}}',
  '<!--<img src="--><img src=x onerror=window.stolen=1//">',
  '\u202e<b>right to left</b>\u0000'.replace('\u0000', ''),
];
await user('anna', 'operator-admin');
const tenant = (await api('GET', '/tenants/')).tenants[0].id;
for (const text of corpus) await api('POST', '/tenants/', { name: text });
for (const text of corpus) {
  await api('POST', '/webhooks/', {
    event_type: 'screening.completed', webhook_url: `${RECEIVER}?q=${encodeURIComponent(text)}`, description: text,
    headers: { 'X-Text': text.replace(/[^ -~]/g, '') }, retry_schedule: [],
  });
  await api('POST', '/api-keys/', { name: text, scopes: ['read'] });
}
const event = await api('POST', '/events/', {
  event_type: 'screening.completed', resource_id: corpus[1], payload: Object.fromEntries(corpus.map((text) => [text, text])),
});
// The receiver answers with what it was sent, and with a header of its own.
let deliveries = [];
while (deliveries.length < corpus.length || deliveries.some((delivery) => delivery.status === 'pending')) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  ({ deliveries } = await api('GET', `/events/${event.id}/`));
}
const replay = await api('POST', '/replays/', { since: '2026-01-01T00:00:00Z', event_type: corpus[0] });
const webhooks = (await api('GET', '/webhooks/')).webhooks;
const pages = [
  '/sign-in?next=' + encodeURIComponent(corpus[1]), '/installation', '/tenants', '/users', `/t/${tenant}`, `/t/${tenant}/webhooks`,
  `/t/${tenant}/webhooks/new`, `/t/${tenant}/events`, `/t/${tenant}/deliveries`, `/t/${tenant}/keys`,
  `/t/${tenant}/events/${event.id}`, `/t/${tenant}/deliveries/${deliveries[0].id}`,
  `/t/${tenant}/webhooks/${webhooks[0].id}`, `/t/${tenant}/formats`, `/t/${tenant}/audit`, `/t/${tenant}/settings`,
  `/t/${tenant}/events/${event.id}/explain`, `/t/${tenant}/events/${event.id}/explain?webhook_id=${webhooks[0].id}`,
  `/t/${tenant}/replays`, `/t/${tenant}/replays/new?webhook_id=${encodeURIComponent(corpus[1])}`, `/t/${tenant}/replays/${replay.id}`,
  `/t/${tenant}/events?event_type=${encodeURIComponent(corpus[1])}`,
  `/t/${tenant}/deliveries?status=${encodeURIComponent(corpus[1])}`, `/portal/${encodeURIComponent(corpus[1])}`,
  `/t/${encodeURIComponent(corpus[1])}/events`,
];
for (const colorScheme of ['light', 'dark']) {
  await run(async (page) => {
    await signIn(page, 'anna');
    for (const path of pages) {
      await page.goto(base + path);
      await page.evaluate(() => document.querySelectorAll('main details').forEach((details) => { details.open = true; }));
      assert.equal(await page.evaluate(() => window.stolen), undefined, path);
      assert.equal(await page.locator('main script, main svg[onload], main img, [onerror], [onfocus]').count(), 0, path);
      await assertAccessible(page);
    }
    await page.goto(`${base}/tenants`);
    for (const text of corpus.slice(0, 7)) {
      assert.equal(await page.getByText(text, { exact: true }).count(), 1, text);
    }
    // On a phone's width nothing is wider than the screen.
    await page.setViewportSize({ width: 375, height: 800 });
    for (const path of pages) {
      await page.goto(base + path);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 375, `${path} is ${width} wide`);
    }
  }, { colorScheme });
}
