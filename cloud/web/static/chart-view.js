// The day chart drawn by uPlot, with a slider that goes from day to day: by finger, by arrow keys, and said aloud by a
// screen reader. The figures are those of the page's table; nothing is asked of anybody.

// The files as they were locked (vendor.lock.json): a browser runs no other ones.
const PARTS = {
  "uplot.js": "sha256-GcjUxq2Ikpp59K5J1vcWFWbf0Lo9FcxJXpdPeH63jx8=",
  "uplot.css": "sha256-32MMao1vjur/JktQ9zzlsRT2Rv/ZoLt08EmwoAE1+gQ=",
};
const HOW = ["read", "spread", "doubtful", "reset", "missing"];

const attached = new Map(); // what a page has fetched, or is fetching

function attach(element, name) {
  if (!attached.has(name)) {
    const ready = new Promise((done, fail) => {
      element.addEventListener("load", done);
      element.addEventListener("error", () => {
        element.remove();
        attached.delete(name);
        fail(new Error(`${name} did not come, or is not the locked one`));
      });
    });
    attached.set(name, ready);
    document.head.append(element);
  }
  return attached.get(name);
}

function script(name) {
  const address = `/static/vendor/${name}`;
  return attach(Object.assign(document.createElement("script"), { src: address, integrity: PARTS[name] }), name);
}

function sheet(name, address) {
  const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: address });
  if (PARTS[name]) link.integrity = PARTS[name];
  return attach(link, name);
}

// One day of the table: how it is called, what was used, how that is known, and the row in words.
function dayOf(row, unit) {
  const [head, cell] = row.cells;
  const shown = cell.firstChild.textContent.trim();
  const used = shown === "" ? null : Number.parseFloat(shown.replaceAll(",", ""));
  const how = row.dataset.how ?? "read";
  const notes = [...cell.children].map((note) => note.textContent);
  const words = [...(used === null ? [] : [`${shown} ${unit}`]), ...notes].join(" · ");
  return { name: head.textContent, used, how, isNewMeter: "new" in row.dataset, words: `${head.textContent}: ${words}` };
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// A series for each way of knowing: uPlot paints a series in one colour. A day without a figure is a band to the top.
function seriesOf(uPlot) {
  const drawn = (size) => (fill, stroke, dash) => ({
    paths: uPlot.paths.bars({ size }), fill, stroke, dash, width: stroke ? 1.5 : 0, points: { show: false },
  });
  const [bars, band] = [drawn([0.72, 48]), drawn([1, 200])];
  return [
    {},
    bars(() => colour("accent")),
    bars(() => colour("accent-soft"), () => colour("accent"), [4, 3]),
    bars(() => colour("warn-soft"), () => colour("warn"), [4, 3]),
    band(() => colour("bad-soft"), () => colour("bad"), [4, 3]),
    band(() => colour("line")),
  ];
}

function axesOf(days, pixels) {
  const axis = { stroke: () => colour("quiet"), font: `${pixels}px ${getComputedStyle(document.body).fontFamily}` };
  const grid = { stroke: () => colour("line"), width: 1 };
  const named = (_plot, places) => places.map((place) => days[place]?.name ?? "");
  return [
    { ...axis, values: named, incrs: [1, 2, 5, 7, 10, 14, 30], space: pixels * 5, size: pixels * 2.6, grid: { show: false }, ticks: grid },
    { ...axis, size: pixels * 3.6, grid, ticks: { show: false } },
  ];
}

// A line where another meter began to count.
function markNewMeters({ ctx, bbox, valToPos }, days) {
  ctx.save();
  ctx.strokeStyle = colour("ink");
  ctx.lineWidth = 2 * devicePixelRatio;
  ctx.beginPath();
  for (const [at, day] of days.entries()) {
    if (!day.isNewMeter) continue;
    const x = valToPos(at - 0.5, "x", true);
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
  }
  ctx.stroke();
  ctx.restore();
}

function draw(uPlot, box, days, onDay, onReady) {
  const highest = Math.max(...days.map((day) => day.used ?? 0)) || 1;
  const top = highest * 1.06;
  const values = HOW.map((how) => days.map((day) => (day.how === how ? (day.used ?? top) : null)));
  const pixels = Math.max(14, Number.parseFloat(getComputedStyle(box).fontSize) * 0.9);
  const height = pixels * 16;
  const options = {
    width: box.clientWidth,
    height,
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false } },
    scales: {
      x: { time: false, range: (_plot, first, last) => [Math.round(first) - 0.6, Math.round(last) + 0.6] },
      y: { range: () => [0, top] },
    },
    series: seriesOf(uPlot),
    axes: axesOf(days, pixels),
    hooks: {
      ready: [onReady],
      draw: [(plot) => markNewMeters(plot, days)],
      setCursor: [(plot) => plot.cursor.idx !== null && plot.cursor.idx !== undefined && onDay(plot.cursor.idx)],
    },
  };
  const plot = new uPlot(options, [days.map((_day, at) => at), ...values], box);
  new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height })).observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot.redraw());
  return plot;
}

// A slider over the days; its value is said as the day's row of the table.
function sliderFor(figure, days, label) {
  const slider = Object.assign(document.createElement("input"), { type: "range", min: 0, max: days.length - 1, step: 1 });
  slider.setAttribute("aria-label", label);
  const said = Object.assign(document.createElement("p"), { className: "day figure" });
  said.setAttribute("aria-hidden", "true"); // the slider says it
  const show = (at) => {
    slider.value = at;
    slider.setAttribute("aria-valuetext", days[at].words);
    said.textContent = days[at].words;
  };
  return { slider, said, show };
}

/** Draws the figure's days and gives them a slider; the bars that came with the page make room. */
export async function open(figure) {
  await Promise.all([script("uplot.js"), sheet("uplot.css", "/static/vendor/uplot.css"), sheet("chart.css", "/static/chart.css")]);
  const table = figure.querySelector("table");
  const [dayName, unit] = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const days = [...table.tBodies[0].rows].map((row) => dayOf(row, unit));
  const box = Object.assign(document.createElement("div"), { className: "plot" });
  box.setAttribute("aria-hidden", "true"); // a picture of the table
  const { slider, said, show } = sliderFor(figure, days, dayName);
  figure.querySelector("svg").after(box, slider, said);
  figure.dataset.open = "";
  show(days.length - 1);
  const point = (plot) => plot.setCursor({ left: plot.valToPos(Number(slider.value), "x"), top: 0 }, false);
  const plot = draw(globalThis.uPlot, box, days, show, point);
  slider.addEventListener("input", () => {
    show(Number(slider.value));
    point(plot);
  });
  slider.focus();
}
