// The list of models, the one that is chosen, and the state of the server.

import { sparkline } from "./chart.js";
import { byId, h, setText } from "./dom.js";
import { keyOf, seriesOf, watch } from "./live.js";
import { show } from "./model.js";
import { count, milliseconds } from "./numbers.js";

const [list, article, status] = [byId("models"), byId("model"), byId("status")];
const rows = new Map();
let models = [];
let chosen;
let draw = () => {};

const hashOf = (model) => `#${encodeURIComponent(model.name)}/${encodeURIComponent(model.version)}`;

function row(model) {
  const spark = sparkline();
  const number = (name) => {
    const value = h("b", {});
    return { value, element: h("span", { class: "number" }, h("small", {}, name), value) };
  };
  const [rate, p50, p99] = [number("req/s"), number("p50"), number("p99")];
  const state = h("span", { class: "state" });
  const link = h(
    "a",
    { href: hashOf(model) },
    h(
      "span",
      { class: "who" },
      h("b", {}, model.name),
      h("small", {}, model.version && `version ${model.version}`),
      state,
    ),
    rate.element,
    p50.element,
    p99.element,
    spark.root,
  );
  return {
    link,
    item: h("li", {}, link),
    draw(now) {
      const { samples } = seriesOf(now);
      const last = samples.at(-1) ?? {};
      const ready = now.state === "READY";
      setText(state, ready ? "ready" : now.state.toLowerCase());
      link.dataset.state = ready ? "ready" : now.state === "LOADING" ? "loading" : "unavailable";
      setText(rate.value, ready ? count(last.rate) : "–");
      setText(p50.value, milliseconds(last.p50 ?? last.mean));
      setText(p99.value, milliseconds(last.p99));
      spark.draw(samples);
    },
  };
}

function update({ models: found, problem }) {
  document.body.classList.toggle("lost", problem !== undefined);
  if (problem !== undefined) return setText(status, problem);
  models = found;
  const ready = models.filter(({ state }) => state === "READY").length;
  setText(status, models.length ? `${ready} of ${models.length} ready` : "no models");
  const keys = new Set(models.map(keyOf));
  for (const [key, { item }] of rows) {
    if (!keys.has(key)) {
      item.remove();
      rows.delete(key);
    }
  }
  models.forEach((model, at) => {
    const known = rows.get(keyOf(model)) ?? row(model);
    rows.set(keyOf(model), known);
    if (list.children[at] !== known.item) list.insertBefore(known.item, list.children[at] ?? null);
    known.draw(model);
  });
  choose();
  draw();
}

// Shows the model that the address names, or the first one, where it is not shown already. After an event, that somebody
// chose it, it gets the focus.
async function choose(event) {
  const named = models.find((model) => hashOf(model) === location.hash);
  const model = named ?? models.find(({ state }) => state === "READY") ?? models[0];
  const key = model && `${keyOf(model)} ${model.state} ${model.reason}`;
  if (key === chosen) return;
  chosen = key;
  for (const [of, { link }] of rows) {
    if (model && of === keyOf(model)) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  draw = () => {};
  if (!model) return article.replaceChildren();
  const shown = await show(model);
  if (chosen !== key) return;
  article.replaceChildren(...shown.children);
  draw = shown.draw;
  draw();
  if (event) article.querySelector("h2")?.focus({ preventScroll: true });
}

setText(byId("host"), location.host);
document.title = `serve ${location.host}`;
window.addEventListener("hashchange", choose);
watch(update);
