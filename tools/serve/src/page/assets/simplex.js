// Sliders for a probability vector, whose sum stays 1; beside the prediction the entropy as it is by definition.

import { hasKey, infer, modelPath } from "./api.js";
import { h, select, setText } from "./dom.js";
import { prediction, sum } from "./numbers.js";
import { latest, place, shell, values } from "./results.js";

const MOST_SLIDERS = 32;
const UNITS = [
  ["e", "nats", 1],
  ["2", "bits", Math.LN2],
  ["10", "bans", Math.LN10],
];

export const title = "Sliders";

export function fits({ features, metadata }) {
  const [input, ...others] = features?.inputs ?? [];
  if (!input || others.length || input.kind !== "number" || input.shape.length !== 1) return false;
  const isProbabilities = isEntropy(features) || /^(probs?|probabilities|p)$/i.test(input.name);
  return (
    isProbabilities && input.shape[0] > 1 && input.shape[0] <= MOST_SLIDERS && metadata.inputs[0].datatype === "FP32"
  );
}

const isEntropy = (features) => /entropy/i.test(features.target.name);

// −Σ p ln p, in nats.
export const entropy = (p) => -sum(p.map((x) => (x > 0 ? x * Math.log(x) : 0)));

// The vector with element `at` moved to `value`: the others keep their ratios and give or take the difference.
export function moved(p, at, value) {
  const others = sum(p) - p[at];
  const share = (x) => (others > 1e-9 ? (x / others) * (1 - value) : (1 - value) / (p.length - 1));
  return p.map((x, index) => (index === at ? value : share(x)));
}

function random(length) {
  const draws = Array.from({ length }, () => -Math.log(1 - Math.random()));
  return draws.map((x) => x / sum(draws));
}

export function build(model) {
  const { features, metadata } = model;
  const [{ name, shape }] = features.inputs;
  const length = shape[0];
  let p = Array(length).fill(1 / length);

  const sliders = p.map((_, at) => {
    const id = `p${at}`;
    const range = h("input", {
      id,
      type: "range",
      min: 0,
      max: 1,
      step: 0.001,
      oninput: () => set(moved(p, at, +range.value)),
    });
    const number = h("output", { for: id });
    return {
      range,
      number,
      row: h("div", { class: "slider" }, h("label", { for: id }, `${name}[${at}]`), range, number),
    };
  });

  const scale = h(
    "div",
    { class: "scale", "aria-hidden": "true" },
    h("i", { class: "exact" }),
    h("i", { class: "predicted" }),
  );
  const end = h("span", {});
  const ends = h("p", { class: "ends dim" }, h("span", {}, "0, one is certain"), end);
  const predicted = h("output", { class: "big" });
  const [exact, off] = [h("output"), h("output")];
  const unit = select("Unit", UNITS, () => show());
  const problem = place();
  const curl = shell();
  let answer;

  function show() {
    sliders.forEach(({ range, number }, at) => {
      if (document.activeElement !== range || Math.abs(+range.value - p[at]) > 0.002) range.value = p[at];
      range.style.setProperty("--part", p[at]);
      setText(number, p[at].toFixed(3));
    });
    if (!isEntropy(features)) return;
    const [, , divisor] = UNITS.find(([base]) => base === unit.element.value);
    const truth = entropy(p) / divisor;
    const most = Math.log(length) / divisor;
    setText(end, `${most.toFixed(3)}, all alike`);
    setText(exact, truth.toFixed(4));
    if (answer === undefined) return;
    setText(predicted, answer.toFixed(4));
    setText(off, `${answer < truth ? "−" : "+"}${Math.abs(answer - truth).toFixed(4)}`);
    scale.style.setProperty("--exact", truth / most);
    scale.style.setProperty("--predicted", Math.min(1, Math.max(0, answer / most)));
  }

  const ask = latest(async () => {
    const input = {
      name: metadata.inputs[0].name,
      shape: [1, length],
      datatype: "FP32",
      data: p.map((x) => +x.toFixed(6)),
    };
    const request = { inputs: [input] };
    try {
      const { outputs } = await infer(model, request);
      answer = outputs[0].data[0];
      problem.show(
        ...(isEntropy(features) ? [] : [values(outputs[0].data, { labels: model.labels[outputs[0].name] })]),
      );
      curl.show(`${modelPath(model)}/infer`, JSON.stringify(request), hasKey());
    } catch (error) {
      problem.fail(error);
    }
    show();
  });

  function set(next) {
    p = next;
    show();
    ask();
  }
  const oneHot = () => Array.from({ length }, (_, at) => (at === 0 ? 1 : 0));
  const preset = (text, next) => h("button", { type: "button", onclick: () => set(next()) }, text);
  set(p);

  return h(
    "div",
    { class: "simplex" },
    ...(isEntropy(features)
      ? [
          h(
            "div",
            { class: "answer" },
            h("div", {}, h("span", { class: "key predicted" }, "predicted"), predicted),
            h(
              "dl",
              {},
              h("dt", { class: "key exact" }, "exact"),
              h("dd", {}, exact),
              h("dt", {}, "difference"),
              h("dd", {}, off),
            ),
            unit.field,
          ),
          scale,
          ends,
        ]
      : []),
    h(
      "div",
      { class: "sliders", role: "group", "aria-label": "Probabilities, whose sum stays 1" },
      ...sliders.map(({ row }) => row),
    ),
    h(
      "p",
      { class: "buttons" },
      preset("Random", () => random(length)),
      preset("Uniform", () => Array(length).fill(1 / length)),
      preset("One certain", oneHot),
    ),
    problem.element,
    curl.element,
  );
}
