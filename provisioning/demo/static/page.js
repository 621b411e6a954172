// The launcher's page: asks for the state twice a second and shows it; nothing here decides anything.
const token = document.querySelector('meta[name="demo-token"]').content;
const place = (id) => document.getElementById(id);

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function showLinks(id, links) {
  const key = JSON.stringify(links);
  if (place(id).dataset.key === key) return;
  place(id).dataset.key = key;
  place(id).replaceChildren(...links.map((door) => {
    const row = element('li', '');
    row.append(element('a', `${door.title.zh} · ${door.title.en}`, { href: door.link, target: '_blank', rel: 'noopener' }));
    return row;
  }));
}

function reportTable(report) {
  const table = element('table', '');
  const rows = [['改前 before', report.before], ['改后 after', report.after],
    ...report.noticed.map((notice) => [`${notice.who}`, `✔ ${notice.check}: ${notice.says}`]),
    ['复原 put back', report.repaired]];
  for (const [heading, text] of rows) {
    const row = element('tr', '');
    row.append(element('th', heading, { scope: 'row' }), element('td', text));
    table.append(row);
  }
  return table;
}

function showCheats(cheats) {
  const key = JSON.stringify(cheats);
  if (place('cheats').dataset.key === key) return;
  place('cheats').dataset.key = key;
  place('cheats').replaceChildren(...cheats.map((cheat) => {
    const row = element('li', '', { 'data-cheat': cheat.name, 'data-state': cheat.state });
    const button = element('button', `${cheat.title.zh} · ${cheat.title.en}`, { type: 'button' });
    button.disabled = !cheat.allowed;
    button.addEventListener('click', () => send(`/cheats/${cheat.name}`));
    row.append(button);
    if (cheat.state === 'running') row.append(element('p', '…'));
    if (cheat.error) row.append(element('p', cheat.error, { class: 'noticed none' }));
    if (cheat.report) row.append(reportTable(cheat.report));
    return row;
  }));
}

function show(state) {
  place('sentence').textContent = state.sentence;
  showLinks('doors', state.doors);
  showLinks('pages', state.pages);
  showCheats(state.cheats);
  place('figures').replaceChildren(...Object.entries(state.figures).map(([name, value]) => {
    const group = element('div', '');
    group.append(element('dt', name), element('dd', typeof value === 'number' ? value.toLocaleString('en') : value));
    return group;
  }));
  place('steps').replaceChildren(...state.steps.map((step) => {
    const row = element('li', '', { 'data-state': step.state });
    row.append(element('span', step.name), element('span', `${step.seconds.toFixed(1)} s`));
    return row;
  }));
  const lines = place('lines');
  const text = state.lines.join('\n');
  if (lines.textContent !== text) { lines.textContent = text; lines.scrollTop = lines.scrollHeight; }
}

async function send(path) {
  await fetch(path, { method: 'POST', headers: { 'X-Minglou-Demo': token } });
  await refresh();
}

async function refresh() {
  try {
    const answer = await fetch('/state.json', { cache: 'no-store' });
    if (answer.ok) show(await answer.json());
  } catch {
    place('sentence').textContent = '演示已停止 · The demo has stopped';
  }
}

place('new-doors').addEventListener('click', () => send('/doors'));
await refresh();
setInterval(refresh, 500);
