// Outputs of a model.

import { h } from "./dom.js";
import { percent, prediction, probabilities } from "./numbers.js";

const SHOWN_CLASSES = 8;
const SHOWN_VALUES = 64;

// Bars of the most probable classes, the first one named above them.
export function classBars(values, labels) {
  const name = (at) => labels?.[at] ?? `class ${at}`;
  const ranked = probabilities(values)
    .map((value, at) => ({ value, at }))
    .sort((a, b) => b.value - a.value);
  const bar = ({ value, at }) => {
    const fill = h("span", { class: "bar" });
    fill.style.setProperty("--part", value);
    return h("li", {}, h("span", { class: "label" }, name(at)), fill, h("span", { class: "value" }, percent(value)));
  };
  const rest = ranked.length - SHOWN_CLASSES;
  return h(
    "div",
    {},
    h("p", { class: "big" }, name(ranked[0].at)),
    h("ol", { class: "bars" }, ...ranked.slice(0, SHOWN_CLASSES).map(bar)),
    rest > 0 ? h("p", { class: "dim" }, `and ${rest} more`) : undefined,
  );
}

// The values of one row: bars where they are of classes, one big number where it is one.
export function values(row, { labels, isClasses } = {}) {
  if (labels?.length === 2 && row.length === 1) return classBars([1 - row[0], row[0]], labels);
  if (row.length > 1 && (isClasses || labels?.length === row.length)) return classBars(row, labels);
  if (row.length === 1) return h("p", { class: "big" }, prediction(row[0]));
  const more = row.length - SHOWN_VALUES;
  const text = row.slice(0, SHOWN_VALUES).map(prediction).join("  ");
  return h("p", { class: "list" }, more > 0 ? `${text}  and ${more} more` : text);
}

// A place for results and problems: announced to readers of screens.
export function place() {
  const element = h("div", { class: "result", role: "status" });
  return {
    element,
    show: (...children) => element.replaceChildren(...children),
    fail: (error) => element.replaceChildren(h("p", { class: "problem" }, error.message)),
  };
}

// The same request from a shell.
export function shell() {
  const text = h("pre", { tabindex: "0" });
  const quote = (word) => `'${word.replaceAll("'", "'\\''")}'`;
  return {
    element: h("details", {}, h("summary", {}, "From a shell"), text),
    show(path, body, withKey, type) {
      const key = withKey ? ' -H "Authorization: Bearer $KEY"' : "";
      const header = type ? ` -H ${quote(`Content-Type: ${type}`)}` : "";
      text.textContent = `curl ${quote(new URL(path, document.baseURI).href)}${key}${header} \\\n  -d ${quote(body)}`;
    },
  };
}

// Calls `run` again after it has finished if it was asked for meanwhile: the newest wins, one request is on its way.
export function latest(run) {
  let [running, again] = [false, false];
  return async function ask() {
    if (running) {
      again = true;
      return;
    }
    running = true;
    do {
      again = false;
      await run();
    } while (again);
    running = false;
  };
}
