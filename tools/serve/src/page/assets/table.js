// One box a column.

import { hasKey, modelPath, post } from "./api.js";
import { h } from "./dom.js";
import { place, shell, values } from "./results.js";

const MOST_ELEMENTS = 16;
const NDJSON = "application/x-ndjson";

export const title = "Columns";

const elements = ({ shape }) => shape.reduce((product, dim) => product * dim, 1);

export const fits = ({ features }) =>
  features !== null && features.inputs.every((input) => input.kind === "category" || elements(input) <= MOST_ELEMENTS);

// The value that a box starts with: the middle of the training rows where the model knows it.
function start(features, at) {
  const before = features.inputs
    .slice(0, at)
    .map((input) => (input.kind === "category" ? input.categories.length + !!input.indicator : elements(input)));
  const from = before.reduce((all, width) => all + width, 0);
  const means = features.input_scaling?.mean ?? [];
  const width = elements(features.inputs[at]);
  return Array.from({ length: width }, (_, index) => +(means[from + index] ?? 0).toPrecision(3)).join(" ");
}

function box(features, input, at) {
  const id = `column-${at}`;
  const optional = input.fill !== undefined && input.fill !== null;
  if (input.kind === "category") {
    const options = input.categories.map((category) => h("option", { value: category }, category));
    if (optional) options.unshift(h("option", { value: "" }, "missing"));
    const element = h("select", { id }, ...options);
    return { id, name: input.name, element, read: () => element.value };
  }
  const element = h("input", {
    id,
    inputmode: "decimal",
    autocomplete: "off",
    value: start(features, at),
    placeholder: optional ? "missing" : "",
  });
  const read = () => {
    const words = element.value
      .trim()
      .split(/[\s,;]+/)
      .filter(Boolean);
    const numbers = words.map(Number);
    const wanted = elements(input);
    const bad = numbers.some(Number.isNaN) || (numbers.length !== wanted && !(optional && numbers.length === 0));
    element.setCustomValidity(bad ? (wanted === 1 ? "a number is expected" : `${wanted} numbers are expected`) : "");
    if (bad) throw element;
    return numbers.length === 0 ? null : input.shape.length ? nested(numbers, input.shape) : numbers[0];
  };
  element.addEventListener("input", () => element.setCustomValidity(""));
  return { id, name: input.name, element, read };
}

// Values in the order of `shape` as nested lists.
function nested(numbers, [, ...inner]) {
  if (!inner.length) return numbers;
  const width = inner.reduce((product, dim) => product * dim, 1);
  return Array.from({ length: numbers.length / width }, (_, at) =>
    nested(numbers.slice(at * width, (at + 1) * width), inner),
  );
}

export function build(model) {
  const { features } = model;
  const boxes = features.inputs.map((input, at) => box(features, input, at));
  const result = place();
  const curl = shell();

  async function send(event) {
    event?.preventDefault();
    try {
      const row = JSON.stringify(Object.fromEntries(boxes.map(({ name, read }) => [name, read()])));
      const path = `${modelPath(model)}/records`;
      const answer = JSON.parse((await (await post(path, `${row}\n`, NDJSON)).text()).split("\n")[0]);
      const { classes, name } = features.target;
      const row_of = [answer.prediction].flat(Infinity);
      const head = h("p", { class: "dim" }, name);
      result.show(head, values(row_of, { labels: classes }));
      curl.show(path, row, hasKey(), NDJSON);
    } catch (problem) {
      if (problem instanceof Element) form.reportValidity();
      else result.fail(problem);
    }
  }

  const fields = boxes.map(({ id, name, element }) =>
    h("div", { class: "field" }, h("label", { for: id }, name), element),
  );
  const form = h(
    "form",
    { class: "columns", onsubmit: send, onchange: () => send() },
    ...fields,
    h("p", { class: "buttons" }, h("button", {}, "Predict")),
  );
  send();
  return h("div", { class: "table" }, form, result.element, curl.element);
}
