// What pages gain where scripts run; all of them can be read, and used, without.
'use strict';

for (const button of document.querySelectorAll('button[data-copy]')) {
  button.hidden = false;
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  });
}

for (const button of document.querySelectorAll('button[data-confirm]')) {
  button.form.addEventListener('submit', (event) => {
    if (!window.confirm(button.dataset.confirm)) event.preventDefault();
  });
}

for (const time of document.querySelectorAll('time[datetime]')) {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.valueOf())) time.textContent = at.toLocaleString();
}
