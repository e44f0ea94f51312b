// What pages gain where scripts run; all of them can be read, and used, without.
'use strict';

function enrich(part) {
  for (const button of part.querySelectorAll('button[data-copy]')) {
    button.hidden = false;
    button.addEventListener('click', async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = 'Copied';
      setTimeout(() => { button.textContent = 'Copy'; }, 2000);
    });
  }
  for (const button of part.querySelectorAll('button[data-confirm]')) {
    button.form.addEventListener('submit', (event) => {
      if (!window.confirm(button.dataset.confirm)) event.preventDefault();
    });
  }
  for (const time of part.querySelectorAll('time[datetime]')) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.valueOf())) time.textContent = at.toLocaleString();
  }
}

// Whether somebody is at work in a part of the page: has typed, or stands there.
function isInUse(part) {
  const isTyped = (field) => field.value !== field.defaultValue && field.type !== 'hidden' && field.matches('input, textarea');
  return part.contains(document.activeElement) || [...part.querySelectorAll('input, textarea')].some(isTyped);
}

// The same page as it is now, in place of what is shown; what was opened stays open. Whoever is at work is left alone.
async function renew(main) {
  if (isInUse(main)) return;
  const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html').getElementById('content');
  if (!fresh || isInUse(main)) return;
  const open = [...main.querySelectorAll('details')].map((details) => details.open);
  const added = Math.max(fresh.querySelectorAll('details').length - open.length, 0);
  // The newest comes first.
  fresh.querySelectorAll('details').forEach((details, n) => { details.open = open[n - added] ?? false; });
  main.replaceChildren(...fresh.childNodes);
  enrich(main);
}

// Is told of changes while somebody can see the page. One renewal at a time; a change meanwhile makes one more.
function watch(main) {
  let changes, isRenewing = false, isStale = false;
  const changed = async () => {
    isStale = true;
    if (isRenewing) return;
    isRenewing = true;
    while (isStale) {
      isStale = false;
      try { await renew(main); } catch { /* The next change tries again. */ }
    }
    isRenewing = false;
  };
  const follow = () => {
    changes?.close();
    if (document.hidden) return;
    changes = new EventSource(main.dataset.live);
    changes.addEventListener('open', changed);
    changes.addEventListener('changed', changed);
  };
  document.addEventListener('visibilitychange', follow);
  follow();
}

const main = document.getElementById('content');
enrich(document);
// What was answered to a form is not to be asked for again.
if (main?.dataset.live && !document.querySelector('[role=alert], [role=status]')) watch(main);
