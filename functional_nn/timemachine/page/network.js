"use strict";
// The network: a column for each layer, a box for each node, a line for each weight.

const SVG = "http://www.w3.org/2000/svg", BOX = { width: 128, height: 60 }, ROW = 72, TOP = 50;
const drawing = { nodes: [], edges: [] };

function element(name, attributes, parent, text) {
  const made = document.createElementNS(SVG, name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.appendChild(made);
  return made;
}

function drawNetwork(choose) {
  const layers = content.layers, most = Math.max(...layers.map(layer => layer.shown.length));
  const height = TOP + most * ROW + 6, gap = Math.max(210, Math.min(330, 80 + 34 * most));
  const width = BOX.width + gap * (layers.length - 1) + 8;
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "group",
                               "aria-label": "the network" });
  svg.style.maxHeight = "78vh";
  const lines = element("g", {}, svg), hits = element("g", {}, svg), boxes = element("g", {}, svg);
  const at = {};
  layers.forEach((layer, l) => {
    const x = 4 + gap * l, cut = layer.shown.length < layer.size;
    element("text", { x: x + BOX.width / 2, y: 17, "text-anchor": "middle", "font-size": 17,
                      "font-weight": 600 }, svg, (l ? `layer ${l + 1}` : "input")
                      + (cut ? `: ${layer.shown.length} of ${layer.size}` : ""));
    element("text", { x: x + BOX.width / 2, y: 36, "text-anchor": "middle", "font-size": 14, class: "soft" },
            svg, l ? short(layer.says) : "x");
    layer.shown.forEach((node, i) => {
      at[`${l + 1},${node}`] = [x, TOP + ROW * (i + (most - layer.shown.length) / 2)];
    });
  });
  content.edges.forEach((edge, w) => {
    if (edge.from === null) { drawing.edges.push(null); return; }
    const [x1, y1] = at[`${edge.layer - 1},${edge.from}`], [x2, y2] = at[`${edge.layer},${edge.to}`];
    const way = { d: `M${x1 + BOX.width} ${y1 + BOX.height / 2}L${x2} ${y2 + BOX.height / 2}` };
    drawing.edges.push(element("path", { ...way, class: "edge" }, lines));
    const hit = element("path", { ...way, class: "hit", "data-weight": w }, hits);
    hit.addEventListener("click", () => choose({ weight: w }));
  });
  content.nodes.forEach((node, i) => {
    const [x, y] = at[`${node.layer},${node.node}`];
    const group = element("g", { class: "node", tabindex: 0, role: "button", "data-node": i,
                                 "aria-label": `${layers[node.layer - 1].says}, node ${node.node + 1}`,
                                 transform: `translate(${x} ${y})` }, boxes);
    element("rect", { ...BOX, rx: 9, class: "under" }, group);
    const made = { group, rect: element("rect", { ...BOX, rx: 9 }, group) };
    const inner = node["δ"] === undefined;
    made.a = element("text", { x: 10, y: inner ? 36 : 20, "font-size": 15.5, "font-weight": 600 }, group);
    if (!inner) {
      made.z = element("text", { x: 10, y: 37, "font-size": 13.5, class: "soft" }, group);
      made["δ"] = element("text", { x: 10, y: 54, "font-size": 14, class: "delta" }, group);
    }
    group.addEventListener("click", () => choose({ node: i }));
    group.addEventListener("keydown", event => {
      if (event.key === "Enter") { choose({ node: i }); event.preventDefault(); }
    });
    drawing.nodes.push(made);
  });
  document.querySelector("#network .scroll").appendChild(svg);
}

function short(text) {
  return text.length > 20 ? text.slice(0, 18) + "…" : text;
}

// The largest |w| of each layer over all steps, so that a line that grows is a weight that grows.
const largest = {};
function scaleOf(track, step, mode, layer) {
  const key = `${track.name}/${mode}/${layer}/${mode === "before" ? "" : step}`;
  if (largest[key] === undefined) {
    let most = 0;
    content.edges.forEach((edge, w) => {
      if (edge.layer !== layer || edge.from === null) return;
      const steps = mode === "before" ? track.steps.keys() : [step];
      for (const s of steps) {
        const found = Math.abs(size(weightPlace(track, s, mode, w)));
        if (found > most && found < Infinity) most = found;
      }
    });
    largest[key] = most || 1;
  }
  return largest[key];
}

// Set an attribute where it changes, so that the browser styles no more than it must.
function change(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

function updateNetwork(state, track) {
  const { step, example, mode, focus } = state;
  content.nodes.forEach((node, i) => {
    const made = drawing.nodes[i];
    for (const letter of ["a", "z", "δ"]) {
      if (!made[letter]) continue;
      const shown = digits(placeOf(track, step, example, node[letter]));
      const text = `${node.layer === 1 && letter === "a" ? "x" : letter} ${shown}`;
      if (made[letter].textContent !== text) made[letter].textContent = text;
    }
    const level = Math.tanh(Math.abs(size(placeOf(track, step, example, node.a)) || 0));
    const positive = size(placeOf(track, step, example, node.a)) >= 0;
    change(made.rect, "fill", positive ? "var(--plus)" : "var(--minus)");
    change(made.rect, "fill-opacity", (0.06 + 0.24 * level).toFixed(2));
    change(made.group, "class", focus.node === i ? "node chosen" : "node");
  });
  content.edges.forEach((edge, w) => {
    const line = drawing.edges[w];
    if (!line) return;
    const value = size(weightPlace(track, step, mode, w));
    const share = Math.min(1, Math.abs(value) / scaleOf(track, step, mode, edge.layer)) || 0;
    const chosen = focus.weight === w;
    change(line, "stroke-width", Math.max(0.4 + 8 * share, chosen ? 3 : 0).toFixed(1));
    change(line, "class", `edge ${value < 0 ? "minus" : "plus"}${chosen ? " chosen" : ""}`);
  });
}
