// One model: what it takes and gives, a form to try it, its load over the last minute.

import { Refused, get, modelPath } from "./api.js";
import { chart } from "./chart.js";
import { h, segmented, setText } from "./dom.js";
import * as image from "./image.js";
import { seriesOf } from "./live.js";
import { count, milliseconds } from "./numbers.js";
import * as simplex from "./simplex.js";
import * as table from "./table.js";
import * as tensor from "./tensor.js";

// The first that fits is shown; the last, of JSON, always is to choose.
const FORMS = [simplex, image, table];

// Metadata, features and class names of a model; features are null for a model that `export` did not write.
async function describe(model) {
  const metadata = await get(modelPath(model));
  try {
    const { features = null, labels = {} } = await get(`${modelPath(model)}/features`);
    return { ...model, metadata, features, labels };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { ...model, metadata, features: null, labels: {} };
  }
}

function tensors({ inputs, outputs }) {
  const row =
    (kind) =>
    ({ name, datatype, shape }) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, name),
        h("td", {}, kind),
        h("td", {}, datatype),
        h("td", {}, `[${shape.map((dim) => (dim < 0 ? "any" : dim)).join(", ")}]`),
      );
  const head = ["name", "", "type", "shape"].map((text) =>
    h("th", { scope: "col" }, text || h("span", { class: "hidden" }, "direction")),
  );
  const body = [...inputs.map(row("in")), ...outputs.map(row("out"))];
  return h("table", { class: "tensors" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...body));
}

function tryIt(model) {
  const forms = [FORMS.find((form) => form.fits(model)), tensor].filter(Boolean);
  const stage = h("div", {}, forms[0].build(model));
  const choose = (at) => stage.replaceChildren(forms[at].build(model));
  const choice =
    forms.length > 1
      ? segmented(
          "Form",
          forms.map(({ title }) => title),
          choose,
        )
      : undefined;
  return h("section", { class: "try" }, h("div", { class: "head" }, h("h3", {}, "Try it"), choice), stage);
}

function load() {
  const throughput = chart("requests a second", [["line", ({ rate }) => rate]], count, 1);
  const lines = [
    ["line wide", ({ p99 }) => p99],
    ["line", ({ p50, mean }) => p50 ?? mean],
  ];
  const latency = chart("latency: p50, and p99 dashed", lines, milliseconds, 0.1);
  const numbers = [
    ["requests/s", ({ rate }) => count(rate)],
    ["rows/s", ({ rows }) => count(rows)],
    ["failed/s", ({ fails }) => count(fails)],
    ["p50", ({ p50 }) => milliseconds(p50)],
    ["p99", ({ p99 }) => milliseconds(p99)],
    ["mean", ({ mean }) => milliseconds(mean)],
    ["requests", ({ now }) => count(now?.requests)],
    ["rows per run", ({ now }) => count(now?.runs ? now.rows / now.runs : undefined)],
  ].map(([name, of]) => ({ of, value: h("dd", {}), term: h("dt", {}, name) }));
  const list = h("dl", { class: "numbers" }, ...numbers.map(({ term, value }) => h("div", {}, term, value)));
  const section = h("section", { class: "load" }, h("h3", {}, "Last minute"), throughput.figure, latency.figure, list);
  return {
    section,
    draw({ samples }) {
      throughput.draw(samples);
      latency.draw(samples);
      numbers.forEach(({ of, value }) => setText(value, of(samples.at(-1) ?? {})));
    },
  };
}

// What shows a model, and a function that draws its load again.
export async function show(model) {
  const subtitle = (text) => h("p", { class: "dim" }, text);
  const heading = h("h2", { tabindex: "-1" }, model.name);
  if (model.state !== "READY") {
    const reason = model.reason || `This version is ${model.state.toLowerCase()}.`;
    return { children: [heading, h("p", { class: "problem" }, reason)], draw: () => {} };
  }
  try {
    const described = await describe(model);
    const live = load();
    const about = [
      `version ${described.version || described.metadata.versions?.at(-1) || "?"}`,
      described.metadata.runtime && `runtime ${described.metadata.runtime}`,
    ].filter(Boolean);
    const children = [
      h("div", { class: "title" }, heading, subtitle(about.join(", "))),
      tryIt(described),
      h("div", { class: "side" }, live.section, h("section", {}, h("h3", {}, "Tensors"), tensors(described.metadata))),
    ];
    return { children, draw: () => live.draw(seriesOf(model)) };
  } catch (error) {
    return { children: [heading, h("p", { class: "problem" }, error.message)], draw: () => {} };
  }
}
