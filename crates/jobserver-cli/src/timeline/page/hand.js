// The hand: moving, zooming, choosing a job by mouse, finger or keys; and what stands beside the charts.
const lanes = byId("lanes"), tip = byId("tip");
let asked = false;
const redraw = () => {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; draw(); });
};
const room = () => lanes.clientWidth - GUTTER - 8;
const timeAt = (x) => view.from + ((x - GUTTER) / room()) * (view.to - view.from);

function show(from, to) {
  const across = Math.min(Math.max(to - from, 50), whole);
  view.from = Math.min(Math.max(from, 0), whole - across);
  view.to = view.from + across;
  redraw();
}
const zoom = (times, around = (view.from + view.to) / 2) =>
  show(around - (around - view.from) * times, around + (view.to - around) * times);

function describe(found) {
  const { lane, job } = found;
  const rows = job
    ? [job[NAME] || "unknown", job[COMMAND], `start ${duration(job[START])}, length ${duration(job[LENGTH])}, process ${job[PID]}`, `of ${lane.name} ${lane.pid}`]
    : [lane.name || "unknown", lane.command, `start ${duration(lane.start)}, length ${duration(lane.end - lane.start)}, process ${lane.pid}`, `${lane.jobs.length} jobs`];
  tip.replaceChildren(...rows.filter(Boolean).map((text, place) => {
    const line = document.createElement(place === 0 ? "b" : place === 1 && rows[1] ? "code" : "div");
    line.textContent = text;
    return line;
  }));
  byId("said").textContent = rows.filter(Boolean).join(", ");
}

function put(x, y) {
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 12, window.innerWidth - box.width - 8))}px`;
  tip.style.top = `${y + 18 + box.height > window.innerHeight ? Math.max(4, y - box.height - 10) : y + 18}px`;
}

let grip = null;
lanes.addEventListener("pointerdown", (event) => { grip = { x: event.clientX, from: view.from, to: view.to }; });
addEventListener("pointerup", () => { grip = null; });
addEventListener("pointermove", (event) => {
  if (!grip) return;
  const moved = ((event.clientX - grip.x) / room()) * (grip.to - grip.from);
  show(grip.from - moved, grip.to - moved);
});
const point = (event) => {
  const box = lanes.getBoundingClientRect();
  const slack = (3 / room()) * (view.to - view.from);
  const found = jobAt(timeAt(event.clientX - box.left), event.clientY - box.top + byId("scroll").scrollTop, slack);
  Object.assign(chosen, found || { lane: null, job: null });
  if (found) { describe(found); put(event.clientX, event.clientY); } else tip.hidden = true;
  redraw();
};
lanes.addEventListener("pointermove", point);
lanes.addEventListener("click", point);
lanes.addEventListener("pointerleave", () => { tip.hidden = true; });
for (const canvas of [lanes, byId("slots")]) canvas.addEventListener("wheel", (event) => {
  if (!event.ctrlKey && !event.metaKey) return;
  event.preventDefault();
  zoom(event.deltaY < 0 ? 0.8 : 1.25, timeAt(event.clientX - canvas.getBoundingClientRect().left));
}, { passive: false });
byId("in").addEventListener("click", () => zoom(0.5));
byId("out").addEventListener("click", () => zoom(2));
byId("all").addEventListener("click", () => show(0, whole));

function choose(lane, job) {
  Object.assign(chosen, { lane, job });
  const y = lane.top + HEAD + (job ? job[ROW] : 0) * rowHeight, scroll = byId("scroll");
  if (y < scroll.scrollTop + AXIS || y > scroll.scrollTop + lanes.clientHeight - rowHeight) scroll.scrollTop = y - 60;
  if (job && (job[START] > view.to || job[START] + job[LENGTH] < view.from)) {
    const half = (view.to - view.from) / 2;
    show(job[START] - half, job[START] + half);
  }
  draw();
  describe({ lane, job });
  const box = lanes.getBoundingClientRect(), time = job ? job[START] : lane.start;
  put(box.left + GUTTER + Math.min(Math.max((time - view.from) / (view.to - view.from), 0), 1) * room(), box.top + y - scroll.scrollTop + rowHeight);
}
lanes.addEventListener("keydown", (event) => {
  const place = Math.max(0, data.lanes.indexOf(chosen.lane)), lane = data.lanes[place];
  const job = lane ? lane.jobs.indexOf(chosen.job) : -1;
  const step = (by) => {
    const next = data.lanes[Math.min(Math.max(chosen.lane ? place + by : 0, 0), data.lanes.length - 1)];
    if (next) choose(next, next.jobs[0] || null);
  };
  const along = (by) => { if (lane && lane.jobs.length) choose(lane, lane.jobs[Math.min(Math.max(job + by, 0), lane.jobs.length - 1)]); };
  const keys = {
    ArrowRight: () => along(1), ArrowLeft: () => along(-1), ArrowDown: () => step(1), ArrowUp: () => step(-1),
    "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: () => show(0, whole), Escape: () => { tip.hidden = true; },
  };
  if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  keys[event.key]();
});

function legend(place, entries) {
  byId(place).replaceChildren(...entries.map(([paint, text]) => {
    const entry = document.createElement("span"), mark = document.createElement("i");
    mark.style.background = paint;
    entry.append(mark, text);
    return entry;
  }));
}
const others = data.stands.some((stand) => stand[USED] + stand[FREE] < stand[WIDTH]);
legend("slots-legend", data.known ? [
  ["var(--used)", "in use"], ["var(--free)", "free"], ...(others ? [["var(--others)", "other builds'"]] : []),
  ["var(--full)", "no slot was free: the build waited, if it had more to do"], ["var(--idle)", "slots waited for the build"],
  ...(data.serial ? [["var(--serial)", `longest serial step: ${data.serial[2]}`]] : []),
] : [["var(--used)", "jobs at once"]]);
const rest = ranked.slice(HUES.length).reduce((sum, [, time]) => sum + time, 0);
legend("names", [...ranked.slice(0, HUES.length).map(([name, time]) => [colour(name), `${name || "unknown"} ${duration(time)}`]),
  ...(rest > 0 ? [[OTHER, `others ${duration(rest)}`]] : [])]);
const longest = data.lanes.flatMap((lane) => lane.jobs.filter((job) => !job[FRAME]).map((job) => ({ lane, job })));
longest.sort((a, b) => b.job[LENGTH] - a.job[LENGTH]);
byId("longest").replaceChildren(...longest.slice(0, 15).map(({ lane, job }) => {
  const line = document.createElement("tr");
  [duration(job[LENGTH]), duration(job[START]), lane.name, job[COMMAND] || job[NAME]].forEach((text) => { line.insertCell().textContent = text; });
  return line;
}));
const begun = byId("begun");
begun.textContent = new Date(Number(begun.dataset.value)).toLocaleString();

// What was drawn, counted from the data, for who wants to compare.
const sum = (value) => data.stands.reduce((all, stand, number) => all + value(stand) * (endOf(number) - stand[AT]), 0) / 1e6;
Object.assign(document.documentElement.dataset, {
  drawnLanes: data.lanes.length, drawnJobs: jobCount, drawnBusy: busy / 1e6, drawnStands: data.stands.length,
  drawnUsed: sum((stand) => stand[USED]), drawnFree: sum((stand) => stand[FREE]),
  drawnFull: sum((stand) => (stand[FREE] === 0 ? 1 : 0)), drawnIdle: sum((stand) => (stand[FREE] > 0 ? 1 : 0)),
});
addEventListener("resize", redraw);
byId("scroll").addEventListener("scroll", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
draw();
