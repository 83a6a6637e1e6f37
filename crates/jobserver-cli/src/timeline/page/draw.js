// Draws both charts for the present view, each pixel's column with what is true of it on average.
const chosen = { lane: null, job: null };

function prepare(canvas, height) {
  const width = canvas.parentElement.clientWidth, scale = window.devicePixelRatio || 1;
  canvas.style.height = `${height}px`;
  [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
  const ink = canvas.getContext("2d");
  ink.scale(scale, scale);
  ink.clearRect(0, 0, width, height);
  ink.font = '11px system-ui, "DejaVu Sans", sans-serif';
  ink.textBaseline = "middle";
  const style = getComputedStyle(document.documentElement);
  const paint = (name) => style.getPropertyValue(`--${name}`).trim();
  const x = (time) => GUTTER + ((time - view.from) / (view.to - view.from)) * (width - GUTTER - 8);
  return { ink, width, height, paint, x };
}

function axis({ ink, width, paint, x }, y, bottom) {
  const { step, found } = ticks(width - GUTTER, 80);
  ink.textAlign = "center";
  for (const at of found) {
    ink.fillStyle = paint("line");
    ink.fillRect(Math.round(x(at)), y + 15, 1, Math.max(bottom - y - 15, 0));
    ink.fillStyle = paint("soft");
    const place = Math.min(Math.max(x(at), GUTTER), width - 24);
    ink.fillText(tickText(at, step), place, y + 8);
  }
}

// For each pixel's column how many slots were in use, free, and others'; and for which part of it none was free, one was.
function columns(chart) {
  const first = GUTTER, last = chart.width - 8, count = Math.max(1, Math.floor(last - first));
  const across = (view.to - view.from) / count;
  const sums = ["used", "free", "width", "full", "idle"].map(() => new Float64Array(count));
  data.stands.forEach((stand, number) => {
    const from = Math.max(stand[AT], view.from), to = Math.min(endOf(number), view.to);
    if (to <= from) return;
    const begin = Math.floor((from - view.from) / across), end = Math.min(count - 1, Math.floor((to - view.from) / across));
    for (let column = begin; column <= end; column++) {
      const left = view.from + column * across;
      const part = (Math.min(to, left + across) - Math.max(from, left)) / across;
      if (part <= 0) continue;
      const values = [stand[USED], stand[FREE], stand[WIDTH], stand[FREE] === 0 ? 1 : 0, stand[FREE] > 0 ? 1 : 0];
      values.forEach((value, sum) => { sums[sum][column] += part * value; });
    }
  });
  return { first, count, sums };
}

function drawSlots() {
  const strips = data.known ? 26 : 0, height = 142 + strips;
  const chart = prepare(byId("slots"), height);
  const { ink, paint, x, width } = chart;
  const top = AXIS, bottom = height - strips - 4, most = Math.max(1, data.width);
  const y = (slots) => bottom - (slots / most) * (bottom - top - 8);
  axis(chart, 0, bottom);
  const { first, count, sums: [used, free, wide, full, idle] } = columns(chart);
  for (let column = 0; column < count; column++) {
    const bar = (from, to, name) => {
      if (to <= from) return;
      ink.fillStyle = paint(name);
      ink.fillRect(first + column, y(to), 1, y(from) - y(to));
    };
    bar(0, used[column], "used");
    bar(used[column], used[column] + free[column], "free");
    if (data.known) bar(used[column] + free[column], wide[column], "others");
  }
  if (data.known) for (let column = 0; column < count; column++) {
    [[full, "full", bottom + 6], [idle, "idle", bottom + 17]].forEach(([parts, name, place]) => {
      ink.globalAlpha = Math.min(1, parts[column]);
      ink.fillStyle = paint(name);
      ink.fillRect(first + column, place, 1, 8);
    });
    ink.globalAlpha = 1;
  }
  ink.textAlign = "right";
  ink.fillStyle = paint("soft");
  const step = Math.max(1, Math.ceil(most / 5));
  for (let slots = 0; slots <= most; slots += step) ink.fillText(slots, GUTTER - 6, y(slots));
  if (data.known) {
    ink.strokeStyle = paint("text");
    ink.setLineDash([4, 3]);
    ink.strokeRect(GUTTER, y(most) - 0.5, width - GUTTER - 8, 0);
    ink.setLineDash([]);
  }
  if (data.serial) {
    const [from, to, what] = data.serial;
    const left = Math.max(x(from), GUTTER), right = Math.min(x(to), width - 8);
    if (right > left) {
      ink.strokeStyle = ink.fillStyle = paint("serial");
      ink.strokeRect(left + 0.5, y(most) + 3.5, Math.max(1, right - left - 1), bottom - y(most) - 4);
      const text = `serial step: ${what}`;
      ink.textAlign = "left";
      if (ink.measureText(text).width < right - left - 8) ink.fillText(text, left + 5, y(most) + 13);
    }
  }
}

function drawLanes() {
  const scroll = byId("scroll");
  byId("tall").style.height = `${tall}px`;
  const height = Math.min(tall, Math.max(200, Math.floor(window.innerHeight * 0.78)));
  const chart = prepare(byId("lanes"), height);
  const { ink, paint, x, width } = chart, offset = scroll.scrollTop;
  axis(chart, 4, height);
  for (const lane of data.lanes) {
    const top = lane.top - offset;
    if (top > height || top + lane.height < AXIS) continue;
    const left = Math.max(x(lane.start), 4), right = Math.min(x(lane.end), width - 4);
    ink.fillStyle = paint("line");
    if (right > left) ink.fillRect(left, top + HEAD - 3, right - left, 2);
    const text = lane.command || lane.name;
    const place = Math.min(Math.max(left, 4), width - 60);
    clip(ink, `${text}`, place, top + 8, width - place - 6, paint("text"));
    const filled = new Array(lane.rows).fill(-1);
    for (const job of lane.jobs) drawJob(chart, lane, job, top, filled);
  }
  ink.fillStyle = paint("back");
  ink.fillRect(0, 0, width, AXIS - 2);
  axis(chart, 2, AXIS - 4);
}

function drawJob({ ink, width, height, paint, x }, lane, job, top, filled) {
  const y = top + HEAD + job[ROW] * rowHeight, tallness = rowHeight - 2;
  const left = Math.max(x(job[START]), 2), right = Math.min(x(job[START] + job[LENGTH]), width - 2);
  if (right < 2 || left > width - 2 || y > height || y + rowHeight < AXIS) return;
  const is = chosen.job === job, exact = right - left;
  // What is narrower than a pixel is as faint as it is narrow, so that many of them show how dense they are; one that
  // stands alone can be seen all the same.
  const alone = is || left - filled[job[ROW]] > 1;
  const wide = exact > 2 ? exact - 0.5 : Math.max(exact, alone ? 0.8 : 0.05);
  filled[job[ROW]] = Math.max(filled[job[ROW]], left + wide);
  if (job[FRAME]) {
    ink.strokeStyle = paint("soft");
    ink.strokeRect(left + 0.5, y + 0.5, Math.max(wide - 1, 0.5), tallness - 1);
  } else {
    ink.fillStyle = colour(job[NAME]);
    ink.fillRect(left, y, wide, tallness);
  }
  if (is) {
    ink.strokeStyle = paint("text");
    ink.lineWidth = 2;
    ink.strokeRect(left - 1, y - 1, wide + 2, tallness + 2);
    ink.lineWidth = 1;
  }
  if (tallness >= 12 && wide > 26) {
    const text = job[COMMAND] && wide > 160 ? job[COMMAND] : job[NAME];
    clip(ink, text, left + 4, y + tallness / 2 + 0.5, wide - 7, job[FRAME] ? paint("soft") : inkOn(colour(job[NAME])));
  }
}

function clip(ink, text, left, y, room, fill) {
  let shown = text.slice(0, 300);
  if (ink.measureText(shown).width > room) {
    let least = 0, most = shown.length;
    while (least < most) {
      const middle = (least + most + 1) >> 1;
      if (ink.measureText(`${shown.slice(0, middle)}…`).width <= room) least = middle; else most = middle - 1;
    }
    if (least < 2) return;
    shown = `${shown.slice(0, least)}…`;
  }
  ink.textAlign = "left";
  ink.fillStyle = fill;
  ink.fillText(shown, left, y);
}

function draw() {
  drawSlots();
  drawLanes();
}
