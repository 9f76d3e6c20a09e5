// Requests to the server that the page came from.

import { byId } from "./dom.js";

let key = sessionStorage.getItem("key") ?? "";
let asking;

export const hasKey = () => key !== "";

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function call(path, { headers = {}, ...options } = {}) {
  for (;;) {
    const used = key;
    const authorization = used ? { authorization: `Bearer ${used}` } : {};
    const all = { ...headers, ...authorization };
    const response = await fetch(path, { ...options, headers: all, cache: "no-store", credentials: "omit" });
    if (response.status === 401) {
      if (key === used) await (asking ??= askForKey());
      continue;
    }
    if (!response.ok) throw new Refused(response.status, await problem(response));
    return response;
  }
}

export const get = async (path) => (await call(path)).json();
export const post = async (path, body, type = "application/json") =>
  call(path, { method: "POST", body, headers: { "content-type": type } });

export const modelPath = ({ name, version }) =>
  `v2/models/${encodeURIComponent(name)}${version ? `/versions/${encodeURIComponent(version)}` : ""}`;

export const infer = async (model, request) =>
  (await post(`${modelPath(model)}/infer`, JSON.stringify(request))).json();

// As `infer`, with the data of the only input as bytes behind the JSON.
export async function inferBytes(model, input, bytes) {
  const parameters = { binary_data_size: bytes.byteLength };
  const request = { inputs: [{ ...input, parameters }], parameters: { binary_data_output: false } };
  const head = new TextEncoder().encode(JSON.stringify(request));
  const headers = {
    "content-type": "application/octet-stream",
    "inference-header-content-length": String(head.length),
  };
  const response = await call(`${modelPath(model)}/infer`, { method: "POST", body: new Blob([head, bytes]), headers });
  return response.json();
}

async function problem(response) {
  const text = await response.text();
  try {
    const { error, message } = JSON.parse(text);
    return error?.message ?? error ?? message ?? text;
  } catch {
    return text || `${response.status} ${response.statusText}`;
  }
}

// Shows the field for a key; resolves when one is given.
function askForKey() {
  const [form, field, note] = [byId("key"), byId("key-value"), byId("key-note")];
  if (key) note.textContent = "The server does not know this key.";
  form.hidden = false;
  field.value = "";
  field.focus();
  return new Promise((resolve) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      key = field.value;
      sessionStorage.setItem("key", key);
      form.hidden = true;
      asking = undefined;
      resolve();
    };
  });
}
