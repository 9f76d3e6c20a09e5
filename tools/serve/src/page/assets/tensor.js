// The JSON of a request, for any model.

import { hasKey, infer, modelPath } from "./api.js";
import { h } from "./dom.js";
import { place, shell } from "./results.js";

const MOST_ZEROS = 64;

export const title = "JSON";

export const fits = () => true;

// A request of zeros; each dimension of any size is 1.
function example({ metadata }) {
  const inputs = metadata.inputs.map(({ name, shape, datatype }) => {
    const dims = shape.map((dim) => (dim > 0 ? dim : 1));
    const length = dims.reduce((product, dim) => product * dim, 1);
    const zero = datatype === "BYTES" ? "" : datatype === "BOOL" ? false : 0;
    return { name, shape: dims, datatype, data: Array(Math.min(length, MOST_ZEROS)).fill(zero) };
  });
  return `{"inputs": [\n${inputs.map((input) => `  ${JSON.stringify(input)}`).join(",\n")}\n]}`;
}

export function build(model) {
  const path = `${modelPath(model)}/infer`;
  const result = place();
  const curl = shell();
  const area = h("textarea", { id: "request", rows: 8, spellcheck: "false", autocomplete: "off" });
  area.value = example(model);

  async function send(event) {
    event?.preventDefault();
    try {
      const request = JSON.parse(area.value);
      const answer = await infer(model, request);
      result.show(h("pre", { tabindex: "0" }, JSON.stringify(answer, null, 1)));
      curl.show(path, JSON.stringify(request), hasKey());
    } catch (error) {
      result.fail(error);
    }
  }
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send(event);
  });
  return h(
    "form",
    { class: "tensor", onsubmit: send },
    h("label", { for: "request" }, `POST /${path}`),
    area,
    h("p", { class: "buttons" }, h("button", {}, "Send"), h("span", { class: "dim" }, "Ctrl Enter")),
    result.element,
    curl.element,
  );
}
