"use strict";
// A cursor on the curves: the pointer or the arrow keys move it, and the tables below the pictures
// show the values there, as they are written in the page. Curves over the same unit share it.

const SVG = "http://www.w3.org/2000/svg";

// The place of the last number that is at most `value`; −1 if there is none.
function placeOf(numbers, value) {
  let low = 0, high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] <= value) low = middle + 1; else high = middle;
  }
  return low - 1;
}

function made(name, attributes, parent) {
  const node = document.createElementNS(SVG, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  parent.appendChild(node);
  return node;
}

const panels = [...document.querySelectorAll("figure.curves")].map(figure => {
  const data = JSON.parse(figure.querySelector("script").textContent);
  const svg = figure.querySelector("svg"), group = made("g", { class: "cursor", visibility: "hidden" }, svg);
  const panel = { figure, data, svg, group, plot: figure.querySelector(".plot"),
                  caption: figure.querySelector("caption"),
                  numbers: [...new Set(data.lines.flatMap(line => line.x))].sort((a, b) => a - b) };
  panel.bar = made("path", {}, group);
  panel.dots = data.lines.map(line => made("circle", { r: 3.5, class: `run-${line.run % 7}` }, group));
  panel.cells = data.lines.map(line => [...figure.querySelectorAll("td[data-run]")].find(
    cell => cell.dataset.run === String(line.run) && cell.dataset.role === line.role));
  panel.still = panel.cells.map(cell => cell.textContent);
  return panel;
});

function across(data, value) {
  const share = data.high > data.low ? (value - data.low) / (data.high - data.low) : 0.5;
  return data.left + share * (data.right - data.left);
}

function show(unit, value) {
  for (const panel of panels) if (panel.data.unit === unit) draw(panel, value);
}

function draw(panel, value) {
  const { data, plot } = panel, on = value !== null;
  panel.at = value;
  panel.group.setAttribute("visibility", on ? "visible" : "hidden");
  panel.caption.textContent = on ? `at ${data.unit} ${value.toLocaleString("en")}` : panel.caption.dataset.still;
  if (on) panel.bar.setAttribute("d", `M${across(data, value).toFixed(1)} ${data.top}V${data.bottom}`);
  data.lines.forEach((line, i) => {
    const place = on ? placeOf(line.x, value) : -1;
    const there = place >= 0 && value <= line.x[line.x.length - 1];
    const dot = there && line.y[place] !== null;
    panel.dots[i].setAttribute("visibility", dot ? "inherit" : "hidden");
    if (dot) {
      panel.dots[i].setAttribute("cx", across(data, line.x[place]).toFixed(1));
      panel.dots[i].setAttribute("cy", line.y[place]);
    }
    const other = there && line.x[place] !== value ? ` (${data.unit} ${line.x[place].toLocaleString("en")})` : "";
    panel.cells[i].textContent = !on ? panel.still[i] : there ? line.text[place] + other : "–";
  });
  plot.setAttribute("aria-valuenow", on ? value : data.high);
  const rows = [...panel.figure.querySelectorAll("tbody tr")].map(
    row => [...row.querySelectorAll("th, td[data-run]")].map(cell => cell.textContent.trim()).join(" "));
  plot.setAttribute("aria-valuetext", `${panel.caption.textContent}: ${rows.join(", ")}`);
}

function moved(panel, by) {
  const { numbers } = panel, last = numbers.length - 1;
  const now = panel.at === undefined || panel.at === null ? last + 1 : placeOf(numbers, panel.at);
  show(panel.data.unit, numbers[Math.max(0, Math.min(last, now + by))]);
}

for (const panel of panels) {
  const { data, plot, numbers } = panel;
  for (const [name, value] of Object.entries({ tabindex: 0, role: "slider", "aria-valuemin": data.low,
       "aria-valuemax": data.high, "aria-valuenow": data.high, "aria-label": panel.svg.getAttribute("aria-label") }))
    plot.setAttribute(name, value);
  plot.addEventListener("pointermove", event => {
    const box = panel.svg.getBoundingClientRect(), scale = panel.svg.viewBox.baseVal.width / box.width;
    const share = ((event.clientX - box.left) * scale - data.left) / (data.right - data.left);
    const wanted = data.low + share * (data.high - data.low);
    const before = Math.max(0, placeOf(numbers, wanted)), after = Math.min(before + 1, numbers.length - 1);
    show(data.unit, numbers[wanted - numbers[before] > numbers[after] - wanted ? after : before]);
  });
  plot.addEventListener("pointerleave", () => { if (document.activeElement !== plot) show(data.unit, null); });
  plot.addEventListener("keydown", event => {
    const ways = { ArrowLeft: -1, ArrowRight: 1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") show(data.unit, null);
    else if (ways[event.key]) moved(panel, ways[event.key]);
    else return;
    event.preventDefault();
  });
}
document.body.dataset.ready = "yes";
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(node => { node.open = true; }));
