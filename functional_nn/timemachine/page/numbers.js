"use strict";
// The recorded numbers. They are shown digit by digit as the library printed them; what is computed
// from them here is only where a line goes, how wide it is, and which colour it has.

const content = JSON.parse(document.getElementById("content").textContent);
const NAMES = content.names, P = NAMES.passes.length, W = NAMES.weights.length;
let mantissas, exponents, bytes;

async function unpack() {
  const packed = Uint8Array.from(atob(document.getElementById("data").textContent.trim()),
                                 letter => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const raw = new Uint8Array(await new Response(stream).arrayBuffer()), n = content.count;
  mantissas = new Int16Array(n);
  for (let i = 0; i < n; i++) mantissas[i] = (raw[n + i] << 8) | raw[i];
  exponents = new Int8Array(raw.buffer, 2 * n, n);
  bytes = raw.subarray(3 * n);
}

// A number as the library prints it, from its digits.
function digits(place) {
  const mantissa = mantissas[place], exponent = exponents[place];
  const sign = mantissa < 0 ? "−" : "";
  if (exponent === 127) return mantissa === 0 ? "nan" : sign + "∞";
  if (mantissa === 0) return "0";
  const shown = String(Math.abs(mantissa)).replace(/0+$/, ""), power = exponent + 3;
  if (power < -4 || power >= 4) {
    const tail = shown.length > 1 ? "." + shown.slice(1) : "";
    return sign + shown[0] + tail + "e" + String(power).replace("-", "−");
  }
  if (power < 0) return sign + "0." + "0".repeat(-power - 1) + shown;
  const whole = shown.slice(0, power + 1).padEnd(power + 1, "0");
  return sign + whole + (shown.length > power + 1 ? "." + shown.slice(power + 1) : "");
}

function size(place) {
  const exponent = exponents[place];
  return exponent === 127 ? NaN : mantissas[place] * 10 ** exponent;
}

// Places: of a number of a pass (id from 0) or of a weight before the step (id below 0).
function placeOf(track, step, example, id) {
  const steps = track.steps.length;
  if (id < 0) return track.places.before + (-1 - id) * steps + step;
  return track.places.passes + (example * P + id) * steps + step;
}

function weightPlace(track, step, name, weight) {
  return track.places[name] + weight * track.steps.length + step;
}

function pushPlace(track, step, weight, rank) {
  return track.places.pushes + (weight * track.pushed + rank) * track.steps.length + step;
}

function pusher(track, step, weight, rank) {
  return bytes[track.places.pushers + (weight * track.pushed + rank) * track.steps.length + step];
}

function examplesAt(track, step) {
  return track.rows[step].filter(row => row >= 0).length;
}

// The same example in the right run at the same step, or −1.
function sameInRight(track, step, example) {
  return content.tracks[0].rows[step].indexOf(track.rows[step][example]);
}

// A formula with numbers in place of its symbols; the brackets are those of the library.
function numeric(track, step, example, parts) {
  let written = "";
  parts.forEach((part, i) => {
    if (typeof part === "string") { written += part; return; }
    const shown = digits(placeOf(track, step, example, part));
    const first = written === "" || /(\(|, |\|)$/.test(written);
    const raised = /^[²^]/.test(String(parts[i + 1] ?? ""));
    written += shown[0] === "−" && (!first || raised) ? `(${shown})` : shown;
  });
  return written;
}

function symbolic(parts) {
  return parts.map(part => typeof part === "string" ? escaped(part)
    : `<span class="symbol">${part < 0 ? NAMES.weights[-1 - part] : NAMES.passes[part]}</span>`).join("");
}

// e^(…) with the exponent raised.
function raised(html) {
  return html.replace(/e\^\(((?:[^()]|\([^()]*\))*)\)/g, "e<sup>$1</sup>");
}

function escaped(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
