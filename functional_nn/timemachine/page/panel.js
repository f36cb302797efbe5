"use strict";
// What is said of a chosen node or weight, and the working layer by layer.

function formulaRow(track, state, id) {
  const { step, example } = state, formula = content.formulas[id];
  const value = digits(placeOf(track, step, example, id)), name = NAMES.passes[id];
  const right = track.name ? sameInRight(track, step, example) : -1;
  const meant = right < 0 ? "" : digits(placeOf(content.tracks[0], step, right, id));
  const differs = meant !== "" && meant !== value;
  const told = differs ? `<div class="right-value">in the right run ${meant}</div>` : "";
  const backward = content.nodes.some(node => node["δ"] === id);
  if (!formula || (track.name && backward)) {
    const says = track.name && backward ? ` <span class="note">${escaped(track.says)}</span>` : "";
    return `<div class="formula" data-id="${id}"><b>${name}</b> = <span class="value${
      differs ? " wrong-value" : ""}">${value}</span>${says}${told}</div>`;
  }
  const sides = formula.words !== undefined ? [formula.words]
    : [symbolic(formula.parts), escaped(numeric(track, step, example, formula.parts))].map(raised);
  const kept = sides.filter((side, i) => i === 0 || side !== sides[i - 1]);
  const last = kept[kept.length - 1] === value ? kept.pop() && "" : "";
  return `<div class="formula" data-id="${id}"><b>${name}</b> = ${kept.map((side, i) =>
    i ? `<span class="side numbers">= ${side}</span>` : side).join("")}${last}<span class="side">= <span class="value${
    differs ? " wrong-value" : ""}">${value}</span></span>${told}</div>`;
}

function nodePanel(track, state) {
  const node = content.nodes[state.focus.node], layer = content.layers[node.layer - 1];
  const rows = ["z", "a", "∂a", "σ′", "δ"].filter(letter => node[letter] !== undefined && node.layer > 1)
    .map(letter => formulaRow(track, state, node[letter]));
  const into = content.edges.map((edge, w) => [edge, w])
    .filter(([edge]) => edge.layer === node.layer && edge.to === node.node);
  const weights = into.map(([, w]) => weightButton(track, state, w)).join("");
  const input = node.layer === 1
    ? `<div class="formula"><b>${NAMES.passes[node.a]}</b> = <span class="value">${
      digits(placeOf(track, state.step, state.example, node.a))}</span></div>` : "";
  return `<h2>${node.layer === 1 ? "Input" : `Layer ${node.layer}, node`} ${node.node + 1}</h2>
    ${input}${rows.join("")}${weights ? `<h2>Its weights</h2><div class="weights">${weights}</div>` : ""}`;
}

function weightButton(track, state, w) {
  return `<div class="formula"><button class="number" data-weight="${w}">${NAMES.weights[w]} = ${
    digits(weightPlace(track, state.step, "before", w))}</button></div>`;
}

function bracketed(shown) {
  return shown[0] === "−" ? `(${shown})` : shown;
}

function weightPanel(track, state) {
  const { step } = state, w = state.focus.weight, edge = content.edges[w];
  const of = name => digits(weightPlace(track, step, name, w));
  const name = NAMES.weights[w], slope = NAMES.slopes[w];
  const count = Math.min(track.pushed, examplesAt(track, step));
  const pushes = Array.from({ length: count }, (_, k) => pusherRow(track, state, w, edge, k)).join("");
  const others = track.sizes[step] - count, terms = [...Array(count).keys()]
    .map(k => digits(pushPlace(track, step, w, k))).concat(others ? [of("others")] : []);
  const total = terms.map((term, i) => i ? bracketed(term) : term).join(" + ");
  const rest = others ? `<p class="note">The other ${others} examples together: ${of("others")}</p>` : "";
  const source = content.tracks[0], differs = track.name && of("before") !== digits(weightPlace(source, step, "before", w));
  const right = differs ? `<div class="right-value">in the right run ${
    digits(weightPlace(source, step, "before", w))} before the step, ${
    digits(weightPlace(source, step, "after", w))} after it</div>` : "";
  return `<h2>${edge.from === null ? "Bias" : "Weight"} ${name}</h2>
    <div class="formula" data-update="${w}"><b>${name}</b> ← ${name} + Δ${name}
      <span class="side">= ${of("before")} + ${bracketed(of("step"))}</span>
      <span class="side">= <span class="value">${of("after")}</span></span>${right}</div>
    ${parts(track, step, w, of)}
    <h2>Who moved it</h2>
    <div class="formula" data-gradient="${w}"><b>${slope}</b> = ${total}
      <span class="side">= <span class="value">${of("gradient")}</span></span></div>
    ${pushes}${rest}`;
}

function parts(track, step, w, of) {
  const told = [], steps = track.steps.length;
  if (track.places.memory === undefined) {
    told.push(`All of Δ${NAMES.weights[w]} = ${of("step")} comes from the gradient of this step.`);
  } else {
    const fresh = digits(track.places.memory + (W + w) * steps + step);
    told.push(`Δ${NAMES.weights[w]} = ${of("memory")} + ${bracketed(fresh)}: the first is what the optimiser
      would do with a gradient of 0, its memory; the second is what the gradient of this step adds.`);
  }
  if (track.places.penalty !== undefined)
    told.push(`The penalty adds ${of("penalty")} to the gradient.`);
  return told.map(text => `<p class="note">${text}</p>`).join("");
}

function pusherRow(track, state, w, edge, k) {
  const { step } = state, example = pusher(track, step, w, k), place = pushPlace(track, step, w, k);
  const push = digits(place), row = track.rows[step][example];
  const delta = digits(placeOf(track, step, example, edge["δ"]));
  const a = edge.a === null ? "" : "·" + bracketed(digits(placeOf(track, step, example, edge.a)));
  const over = content.weighted || track.name === "sum for mean" ? "" : ` / ${track.sizes[step]}`;
  const formula = edge.a === null ? NAMES.passes[edge["δ"]] : `${NAMES.passes[edge["δ"]]}·${NAMES.passes[edge.a]}`;
  const wide = Math.abs(size(place)) / Math.abs(size(pushPlace(track, step, w, 0))) * 100 || 0;
  const image = content.images ? `<canvas data-row="${row}"></canvas>` : "<span></span>";
  return `<button class="pusher" data-example="${example}">${image}
    <span>training row ${row}${escaped(targetOf(track, step, example))}: ${formula}${over} = ${delta}${a}${over} = <b>${push}</b></span>
    <span class="bar ${push[0] === "−" ? "minus" : "plus"}" style="width:${wide}%"></span></button>`;
}

// The target of an example in words, such as ", target 7"; "" for a regression.
function targetOf(track, step, example) {
  if (!content.labels.length) return "";
  const outputs = content.nodes.filter(node => node.y !== undefined);
  const found = outputs.filter(node => size(placeOf(track, step, example, node.y)) > 0.5);
  const label = content.labels.length > 1 && outputs.length === 1
    ? content.labels[found.length] : found.length ? content.labels[found[0].node] : undefined;
  return label === undefined ? "" : `, target ${label}`;
}

function paintImages(root) {
  if (!content.images) return;
  const { rows, height, width, place } = content.images;
  for (const canvas of root.querySelectorAll("canvas[data-row]")) {
    const index = rows.indexOf(Number(canvas.dataset.row));
    if (index < 0) continue;
    canvas.width = width; canvas.height = height;
    const context = canvas.getContext("2d"), picture = context.createImageData(width, height);
    for (let i = 0; i < height * width; i++) {
      const shade = 255 - bytes[place + index * height * width + i];
      picture.data.set([shade, shade, shade, 255], 4 * i);
    }
    context.putImageData(picture, 0, 0);
  }
}

// Make a node like another one. Nodes that are alike stay, so that a step changes little but numbers
// and the browser lays out little anew.
function patch(node, wanted) {
  if (node.nodeName !== wanted.nodeName) { node.replaceWith(wanted); return; }
  if (node.nodeType === Node.TEXT_NODE) {
    if (node.data !== wanted.data) node.data = wanted.data;
    return;
  }
  for (const { name, value } of wanted.attributes ?? []) change(node, name, value);
  for (const { name } of [...node.attributes ?? []]) if (!wanted.hasAttribute(name)) node.removeAttribute(name);
  const before = [...node.childNodes], after = [...wanted.childNodes];
  after.forEach((child, i) => i < before.length ? patch(before[i], child) : node.appendChild(child));
  before.slice(after.length).forEach(child => child.remove());
}

function fill(box, html) {
  const wanted = document.createElement("template");
  wanted.innerHTML = html;
  const before = [...box.childNodes], after = [...wanted.content.childNodes];
  after.forEach((child, i) => i < before.length ? patch(before[i], child) : box.appendChild(child));
  before.slice(after.length).forEach(child => child.remove());
}

function updatePanel(state, track) {
  const panel = document.getElementById("panel");
  fill(panel, state.focus.weight !== undefined ? weightPanel(track, state) : nodePanel(track, state));
  paintImages(panel);
}

function updateWorking(state, track) {
  state.part = Math.max(0, Math.min(state.part, content.sections.length - 1));
  const section = content.sections[state.part], body = document.getElementById("part-body");
  document.getElementById("part-said").textContent = section.heading;
  const rows = section.places.map(id => id >= 0 ? formulaRow(track, state, id) : weightRow(track, state, -1 - id, section));
  body.innerHTML = `<p class="note">${section.equation}</p>${section.note ? `<p class="note">${section.note}</p>` : ""}
    <div class="columns">${rows.join("")}</div>`;
}

function weightRow(track, state, w, section) {
  const of = name => digits(weightPlace(track, state.step, name, w));
  const said = section.backwards ? `${NAMES.slopes[w]} = ${of("gradient")}`
    : `${NAMES.weights[w]} ← ${of("before")} + ${bracketed(of("step"))} = ${of("after")}`;
  return `<div class="formula"><button class="number" data-weight="${w}">${said}</button></div>`;
}
