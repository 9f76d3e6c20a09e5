// A picture, from a file, the clipboard or a camera, and bars of the classes.

import { inferBytes } from "./api.js";
import { h, select } from "./dom.js";
import { latest, place, values } from "./results.js";

// Side of the picture where the model takes any.
const ANY_SIDE = 224;
// Pixels of 0 to 255 become (x / 255 - mean) / deviation, by channel.
const ENCODINGS = {
  bytes: { name: "0 to 255", mean: [0, 0, 0], deviation: [1 / 255, 1 / 255, 1 / 255] },
  unit: { name: "0 to 1", mean: [0, 0, 0], deviation: [1, 1, 1] },
  imagenet: { name: "ImageNet’s mean and deviation", mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] },
};
// Luma of ITU-R BT.601, as fetch-data computes it.
const LUMA = [0.299, 0.587, 0.114];

export const title = "Picture";

// { channels, height, width, first: whether the channels come first } of a model that takes one picture.
export function layout({ inputs }) {
  const [input, ...others] = inputs;
  if (others.length || !["FP32", "UINT8"].includes(input.datatype) || input.shape.length !== 4) return undefined;
  const [, a, b, c] = input.shape;
  const side = (size) => (size > 0 ? size : ANY_SIDE);
  if (a === 1 || a === 3) return { first: true, channels: a, height: side(b), width: side(c) };
  if (c === 1 || c === 3) return { first: false, channels: c, height: side(a), width: side(b) };
  return undefined;
}

export const fits = ({ metadata }) => layout(metadata) !== undefined;

// The model's input, from RGBA pixels.
export function encode(rgba, { first, channels, height, width }, datatype, { mean, deviation }) {
  const pixels = height * width;
  const data = datatype === "UINT8" ? new Uint8Array(channels * pixels) : new Float32Array(channels * pixels);
  for (let pixel = 0; pixel < pixels; pixel++) {
    const rgb = rgba.subarray(4 * pixel, 4 * pixel + 3);
    const gray = Math.round(LUMA[0] * rgb[0] + LUMA[1] * rgb[1] + LUMA[2] * rgb[2]);
    for (let channel = 0; channel < channels; channel++) {
      const value = channels === 1 ? gray : rgb[channel];
      const to = first ? channel * pixels + pixel : pixel * channels + channel;
      data[to] = datatype === "UINT8" ? value : (value / 255 - mean[channel]) / deviation[channel];
    }
  }
  return data;
}

export function build(model) {
  const [input] = model.metadata.inputs;
  const shape = layout(model.metadata);
  const { channels, height, width } = shape;
  const canvas = h("canvas", {
    width,
    height,
    role: "img",
    "aria-label": `The picture as the model gets it, ${width} × ${height}`,
  });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const result = place();
  let stream;

  const kinds = Object.entries(ENCODINGS).filter(([kind]) => channels === 3 || kind !== "imagenet");
  const encoding = select(
    "Pixels as",
    kinds.map(([kind, { name }]) => [kind, name]),
    () => run(),
  );
  // What pipegrad trains takes bytes and scales in the graph; others are taken for networks of ImageNet.
  encoding.element.value = model.features ? "bytes" : channels === 3 ? "imagenet" : "unit";

  const run = latest(async () => {
    if (canvas.hidden) return;
    const { data: rgba } = pen.getImageData(0, 0, width, height);
    const data = encode(rgba, shape, input.datatype, ENCODINGS[encoding.element.value]);
    const tensor = {
      name: input.name,
      datatype: input.datatype,
      shape: input.shape.map((_, at) => [1, ...dims(shape)][at]),
    };
    try {
      const { outputs } = await inferBytes(model, tensor, data);
      result.show(values(outputs[0].data, { labels: model.labels[outputs[0].name], isClasses: true }));
    } catch (error) {
      stop();
      result.fail(error);
    }
  });

  // The middle of a picture, as large as the model's shape allows.
  function draw(source, from) {
    const scale = Math.min(from.width / width, from.height / height);
    const [w, hh] = [width * scale, height * scale];
    pen.imageSmoothingQuality = "high";
    pen.drawImage(source, (from.width - w) / 2, (from.height - hh) / 2, w, hh, 0, 0, width, height);
    canvas.hidden = false;
    return run();
  }

  async function open(file) {
    if (!file) return;
    stop();
    try {
      const picture = await createImageBitmap(file);
      await draw(picture, picture);
    } catch {
      result.fail(new Error(`${file.name ?? "this"} is no picture that this browser can read`));
    }
  }

  function stop() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = undefined;
    camera.textContent = "Camera";
  }

  async function watch() {
    if (stream) return stop();
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch (error) {
      return result.fail(new Error(`no camera: ${error.message}`));
    }
    camera.textContent = "Stop camera";
    const video = h("video", { muted: true, playsinline: true });
    video.srcObject = stream;
    await video.play();
    while (stream && camera.isConnected) {
      await draw(video, { width: video.videoWidth, height: video.videoHeight });
      await new Promise(requestAnimationFrame);
    }
    stop();
  }

  const file = h("input", {
    id: "picture",
    type: "file",
    accept: "image/*",
    class: "hidden",
    onchange: () => open(file.files[0]),
  });
  const camera = h("button", { type: "button", onclick: watch }, "Camera");
  camera.hidden = !navigator.mediaDevices?.getUserMedia;
  canvas.hidden = true;

  const drop = h(
    "div",
    {
      class: "drop",
      ondragover: (event) => {
        event.preventDefault();
        drop.classList.add("over");
      },
      ondragleave: () => drop.classList.remove("over"),
      ondrop: (event) => {
        event.preventDefault();
        drop.classList.remove("over");
        open(event.dataTransfer.files[0]);
      },
    },
    canvas,
    h("p", { class: "buttons" }, file, h("label", { for: "picture", class: "button" }, "Choose a picture"), camera),
    h("p", { class: "dim" }, `or drop or paste one here; its middle is scaled to ${width} × ${height}`),
  );
  const paste = (event) => {
    if (!drop.isConnected) document.removeEventListener("paste", paste);
    else open([...event.clipboardData.files].find(({ type }) => type.startsWith("image/")));
  };
  document.addEventListener("paste", paste);

  const choice = input.datatype === "UINT8" ? [] : [encoding.field];
  return h("div", { class: "picture" }, h("div", {}, drop, ...choice), result.element);
}

const dims = ({ first, channels, height, width }) => (first ? [channels, height, width] : [height, width, channels]);
