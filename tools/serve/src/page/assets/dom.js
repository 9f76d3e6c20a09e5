// Elements. Text from the server becomes text nodes, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

export const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);
export const byId = (id) => document.getElementById(id);

// Sets text only where it changed, so that a selection survives.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// A set of choices of which one is on; `choose` is called with its index.
export function segmented(legend, names, choose) {
  const group = `choice-${Math.random().toString(36).slice(2)}`;
  const option = (name, at) =>
    h(
      "label",
      {},
      h("input", { type: "radio", name: group, checked: at === 0, onchange: () => choose(at) }),
      h("span", {}, name),
    );
  return h("fieldset", { class: "segmented" }, h("legend", { class: "hidden" }, legend), ...names.map(option));
}

export function select(label, options, change) {
  const element = h("select", { onchange: () => change?.(element.value) });
  options.forEach(([value, text]) => element.append(h("option", { value }, text)));
  return { element, field: h("label", { class: "field" }, h("span", {}, label), element) };
}
