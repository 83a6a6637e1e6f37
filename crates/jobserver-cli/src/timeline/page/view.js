// What is shown, and where: data, times, colours, places of rows. Draws nothing.
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const [START, LENGTH, ROW, NAME, COMMAND, PID, FRAME] = [0, 1, 2, 3, 4, 5, 6];
const [AT, USED, FREE, WIDTH, WAITING] = [0, 1, 2, 3, 4];
const GUTTER = 36, HEAD = 20, GAP = 8, AXIS = 22;
const whole = Math.max(data.length, 1);
const view = { from: 0, to: whole };
const endOf = (number) => (number + 1 < data.stands.length ? data.stands[number + 1][AT] : data.length);

function duration(micros) {
  if (micros < 1000) return `${Math.round(micros)} µs`;
  if (micros < 10e3) return `${(micros / 1e3).toFixed(1)} ms`;
  if (micros < 1e6) return `${Math.round(micros / 1e3)} ms`;
  if (micros < 10e6) return `${(micros / 1e6).toFixed(2)} s`;
  if (micros < 120e6) return `${(micros / 1e6).toFixed(1)} s`;
  return `${Math.floor(micros / 60e6)} min ${Math.floor(micros / 1e6) % 60} s`;
}

// Distances of 1, 2 or 5 times a power of ten, none closer than `least` pixels.
function ticks(width, least) {
  const across = view.to - view.from;
  const wanted = (across * least) / width;
  const power = 10 ** Math.floor(Math.log10(wanted));
  const step = [1, 2, 5, 10].map((times) => times * power).find((step) => step >= wanted);
  const found = [];
  for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) found.push(at);
  return { step, found };
}

function tickText(at, step) {
  const decimals = Math.max(0, -Math.floor(Math.log10(step / 1e6) + 1e-9));
  return `${(at / 1e6).toFixed(decimals)} s`;
}

// The programs that ran longest have a colour of their own.
const HUES = ["#5a7fe0", "#efb118", "#ff725c", "#3ca951", "#a463f2", "#6cc5b0", "#ff8ab7", "#9c6b4e"];
const OTHER = "#97a0ab";
const totals = new Map();
let jobCount = 0, busy = 0;
for (const lane of data.lanes) for (const job of lane.jobs) if (!job[FRAME]) {
  totals.set(job[NAME], (totals.get(job[NAME]) || 0) + job[LENGTH]);
  jobCount += 1;
  busy += job[LENGTH];
}
const ranked = [...totals].sort((a, b) => b[1] - a[1]);
const colours = new Map(ranked.slice(0, HUES.length).map(([name], place) => [name, HUES[place]]));
const colour = (name) => colours.get(name) || OTHER;
const inkOn = (hex) => {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return 0.3 * r + 0.59 * g + 0.11 * b > 140 ? "#14171b" : "#ffffff";
};

// Where each lane lies from top to bottom: rows get lower the more there are.
const allRows = data.lanes.reduce((sum, lane) => sum + lane.rows, 0);
const rowHeight = allRows <= 40 ? 20 : allRows <= 120 ? 14 : 9;
let tall = AXIS;
for (const lane of data.lanes) {
  lane.top = tall;
  lane.height = HEAD + lane.rows * rowHeight;
  tall += lane.height + GAP;
}

// The job at a place of the chart: of a lane the one in that row at that time, or the nearest within 3 pixels.
function jobAt(time, y, slack) {
  const lane = data.lanes.find((lane) => y >= lane.top && y < lane.top + lane.height);
  if (!lane) return null;
  const row = Math.floor((y - lane.top - HEAD) / rowHeight);
  if (row < 0) return { lane, job: null };
  let best = null, distance = slack;
  for (const job of lane.jobs) {
    if (job[ROW] !== row) continue;
    const away = Math.max(job[START] - time, time - job[START] - job[LENGTH], 0);
    if (away <= distance) [best, distance] = [job, away];
  }
  return best && { lane, job: best };
}
