// Lines over the last minute. The numbers are beside them as text: readers of screens skip the drawing.

import { setText, svg, h } from "./dom.js";
import { SAMPLES } from "./live.js";
import { ceiling } from "./numbers.js";

const [WIDTH, HEIGHT] = [240, 60];

const x = (at, length) => WIDTH - ((length - 1 - at) * WIDTH) / (SAMPLES - 1);

// "M…L…" of the samples that have a value; a gap where there is none.
function path(values, top) {
  let [text, pen] = ["", "M"];
  values.forEach((value, at) => {
    if (value === undefined) pen = "M";
    else {
      text += `${pen}${x(at, values.length).toFixed(1)} ${(HEIGHT - 1 - (HEIGHT - 2) * Math.min(value / top, 1)).toFixed(1)}`;
      pen = "L";
    }
  });
  return text;
}

function drawing(kinds) {
  const paths = kinds.map((kind) => svg("path", { class: kind }));
  const root = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true", class: "chart" },
    ...paths,
  );
  return { root, paths };
}

export function sparkline() {
  const { root, paths } = drawing(["area", "line"]);
  return {
    root,
    draw(samples) {
      const values = samples.slice(-SAMPLES).map(({ rate }) => rate);
      const line = path(values, ceiling(Math.max(1, ...values.filter((v) => v !== undefined))));
      paths[1].setAttribute("d", line);
      const first = values.findIndex((value) => value !== undefined);
      const area = first < 0 ? "" : `${line}V${HEIGHT}H${x(first, values.length).toFixed(1)}Z`;
      paths[0].setAttribute("d", area);
    },
  };
}

// A chart with its greatest value written beside it; `lines` are [class, sample => value].
export function chart(title, lines, format, least) {
  const { root, paths } = drawing(lines.map(([kind]) => kind));
  const top = h("span", { class: "top dim" });
  const figure = h("figure", {}, h("figcaption", {}, title, top), root);
  return {
    figure,
    draw(samples) {
      const all = lines.map(([, of]) => samples.slice(-SAMPLES).map(of));
      const most = ceiling(Math.max(least, ...all.flat().filter((value) => value !== undefined)));
      setText(top, format(most));
      all.forEach((values, at) => paths[at].setAttribute("d", path(values, most)));
    },
  };
}
