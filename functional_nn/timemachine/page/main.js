"use strict";
// The state of the page, its controls, and the learning curve.

const state = { track: 0, step: 0, example: 0, mode: "before", part: 0, focus: { node: 0 } };
const get = id => document.getElementById(id);
let waiting = false, timer = null, following = null, resting = null;

function track() { return content.tracks[state.track]; }

// Show the state. While a scrubber moves, the formulas of the panel follow once it rests.
function refresh(moving = false) {
  const now = track();
  state.step = Math.max(0, Math.min(state.step, now.steps.length - 1));
  const examples = examplesAt(now, state.step);
  state.example = Math.max(0, Math.min(state.example, examples - 1));
  get("step").value = state.step;
  get("example").max = examples - 1;
  get("example").value = state.example;
  get("part").value = state.part;
  const row = now.rows[state.step][state.example];
  get("step-said").textContent = `${now.steps[state.step].toLocaleString("en")} of ${
    now.steps[now.steps.length - 1].toLocaleString("en")}, cost ${
    digits(now.places.cost + state.step)}`;
  get("example-said").textContent = `${state.example + 1} of ${examples}: training row ${row}`
    + targetOf(now, state.step, state.example);
  updateVerdict(now);
  updateNetwork(state, now);
  updateThumb(row);
  clearTimeout(following);
  if (moving) following = setTimeout(() => updatePanel(state, track()), 40);
  else updatePanel(state, now);
  clearTimeout(resting);  // the long list follows later still
  resting = setTimeout(() => updateWorking(state, track()), 250);
  moveMarker();
}

function soon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; refresh(true); });
}

function updateVerdict(now) {
  const number = now.steps[state.step];
  const seen = now.verdicts.filter(verdict => verdict.step <= number).pop() ?? now.verdicts[0];
  const right = now.agrees[state.step], verdict = get("verdict");
  verdict.textContent = `${right ? "✓" : "✗"} the gradient of this step differs by ${
    now.apart[state.step]} of its largest entry from that of jax.grad, in float64. At step ${
    seen.step} fnn.verify says: ${seen.text}.`;
  verdict.className = right ? "right" : "wrong";
}

function updateThumb(row) {
  const canvas = get("thumb");
  if (!canvas) return;
  canvas.dataset.row = row;
  paintImages(canvas.parentNode);
}

function choose(focus) { state.focus = focus; refresh(); }

function move(name, by) { state[name] += by; refresh(); }

function playing(on) {
  clearInterval(timer);
  timer = on ? setInterval(() => {
    if (state.step >= track().steps.length - 1) playing(false); else move("step", 1);
  }, 120) : null;
  get("play").textContent = on ? "❚❚" : "▶▶";
  get("play").setAttribute("aria-label", on ? "stop" : "play");
}

// The learning curve of every recorded run ---------------------------------------------------

const CURVE = { width: 1200, height: 190, left: 70, right: 16, top: 14, bottom: 38 };
const STROKES = ["var(--plus)", "var(--minus)", "var(--delta)", "var(--good)", "var(--bad)"];
let scaleX, marker;

function drawCurve() {
  const { width, height, left, right, top, bottom } = CURVE, first = content.tracks[0];
  const all = content.tracks.map(one => one.steps.map((_, s) => size(one.places.cost + s)));
  const finite = all.flat().filter(value => Number.isFinite(value) && value > 0);
  const low = Math.min(...finite), high = Math.max(...finite), log = high / low > 30;
  const scale = log ? Math.log10 : value => value;
  const bottomValue = log ? scale(low) : 0, span = scale(high) - bottomValue || 1;
  const last = first.steps[first.steps.length - 1], start = first.steps[0];
  scaleX = step => left + (step - start) / Math.max(1, last - start) * (width - left - right);
  const y = value => height - bottom
    - (scale(log ? Math.max(value, low) : value) - bottomValue) / span * (height - top - bottom);
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
                               "aria-label": "cost of the mini-batch over the steps" });
  element("path", { d: `M${left} ${top}V${height - bottom}H${width - right}`, fill: "none",
                    stroke: "var(--soft)" }, svg);
  for (const value of [log ? low : 0, high]) {
    element("text", { x: left - 8, y: y(value) + 5, "text-anchor": "end", "font-size": 14, class: "soft" },
            svg, value.toPrecision(2));
  }
  element("text", { x: left, y: height - 12, "font-size": 14, class: "soft" }, svg, `step ${start}`);
  element("text", { x: width - right, y: height - 12, "text-anchor": "end", "font-size": 14, class: "soft" },
          svg, `step ${last.toLocaleString("en")}`);
  element("text", { x: (left + width) / 2, y: height - 12, "text-anchor": "middle", "font-size": 14, class: "soft" },
          svg, `cost of the mini-batch before each step${log ? ", on a scale of powers of ten" : ""}`);
  all.forEach((costs, i) => {
    let path = "", pen = "M";
    costs.forEach((cost, s) => {
      if (!Number.isFinite(cost)) { pen = "M"; return; }
      path += `${pen}${scaleX(content.tracks[i].steps[s]).toFixed(1)} ${y(cost).toFixed(1)}`; pen = "L";
    });
    element("path", { d: path, fill: "none", "stroke-width": 2, stroke: STROKES[i % 5],
                      "stroke-dasharray": i ? "7 4" : "none" }, svg);
  });
  marker = element("path", { stroke: "var(--ink)", "stroke-width": 1.5 }, svg);
  svg.addEventListener("click", event => {
    const box = svg.getBoundingClientRect();
    const place = (event.clientX - box.left) / box.width * width;
    const far = first.steps.map(step => Math.abs(scaleX(step) - place));
    state.step = far.indexOf(Math.min(...far)); refresh();
  });
  const box = document.createElement("div");
  box.className = "scroll";
  box.appendChild(svg);
  get("curve").appendChild(box);
  const legend = document.createElement("figcaption");
  legend.innerHTML = content.tracks.map((one, i) => `<span class="swatch" style="background:${
    STROKES[i % 5]}"></span>${one.name ? escaped(`with the mistake: ${one.name}`) : "the run"}`).join("");
  if (content.tracks.length > 1) get("curve").appendChild(legend);
}

function moveMarker() {
  const x = scaleX(track().steps[state.step]).toFixed(1);
  marker.setAttribute("d", `M${x} ${CURVE.top}V${CURVE.height - CURVE.bottom}`);
}

// Controls ------------------------------------------------------------------------------------

function connect() {
  get("step").max = content.tracks[0].steps.length - 1;
  get("part").max = content.sections.length - 1;
  for (const name of ["step", "example", "part"])
    get(name).addEventListener("input", event => { state[name] = Number(event.target.value); soon(); });
  get("mode").addEventListener("change", event => { state.mode = event.target.value; refresh(); });
  get("track").innerHTML = content.tracks.map((one, i) => `<option value="${i}">${
    one.name ? escaped(`mistake: ${one.name}`) : "right, as in the run"}</option>`).join("");
  get("track").addEventListener("change", event => {
    const row = track().rows[state.step][state.example];
    state.track = Number(event.target.value);
    state.example = Math.max(0, track().rows[state.step].indexOf(row)); refresh();
  });
  get("track-label").hidden = content.tracks.length < 2;
  get("track-label").style.display = content.tracks.length < 2 ? "none" : "";
  get("back").addEventListener("click", () => move("step", -1));
  get("on").addEventListener("click", () => move("step", 1));
  get("play").addEventListener("click", () => playing(timer === null));
  document.addEventListener("click", event => {
    const at = event.target.closest("[data-weight], [data-example]");
    if (!at || at.closest("svg")) return;
    if (at.dataset.weight !== undefined) choose({ weight: Number(at.dataset.weight) });
    else { state.example = Number(at.dataset.example); refresh(); }
  });
  document.addEventListener("keydown", event => {
    if (event.target.matches("select, input") || event.ctrlKey || event.metaKey || event.altKey) return;
    const ways = { ArrowLeft: ["step", -1], ArrowRight: ["step", 1], ArrowUp: ["example", -1],
                   ArrowDown: ["example", 1], "[": ["part", -1], "]": ["part", 1] };
    if (ways[event.key]) {
      move(...ways[event.key]); event.preventDefault();
    } else if (event.key === " " && !event.target.matches("button, .node")) {
      playing(timer === null); event.preventDefault();
    }
  });
}

function describe() {
  get("legend").innerHTML = `<span class="swatch" style="background:var(--plus)"></span>positive
    <span class="swatch" style="background:var(--minus)"></span>negative; the wider, the larger.
    Click a node, a line or a dotted number for its formula.`;
  get("about").innerHTML = content.about.map(text => `<p>${escaped(text)}</p>`).join("")
    + `<p class="keys">Keys: <kbd>←</kbd> <kbd>→</kbd> step, <kbd>↑</kbd> <kbd>↓</kbd> example,
       <kbd>[</kbd> <kbd>]</kbd> layer, <kbd>space</kbd> play, <kbd>Tab</kbd> and <kbd>Enter</kbd> choose.</p>`;
  if (content.images) {
    const box = document.createElement("span");
    box.innerHTML = '<canvas id="thumb" class="thumb" data-row="0" aria-label="the example"></canvas>';
    get("controls").appendChild(box);
  }
}

unpack().then(() => {
  describe();
  connect();
  drawNetwork(choose);
  drawCurve();
  const first = content.nodes.findIndex(node => node.layer === 2);
  state.focus = { node: Math.max(0, first) };
  refresh();
  document.body.dataset.ready = "yes";
}, error => {
  get("verdict").textContent = `This browser cannot unpack the page: ${error}`;
});
