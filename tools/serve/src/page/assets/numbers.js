// Numbers as people read them.

export function count(value) {
  if (value === undefined || Number.isNaN(value)) return "–";
  return value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 });
}

// Milliseconds, three digits.
export function milliseconds(value) {
  if (value === undefined || Number.isNaN(value)) return "–";
  if (value >= 1000) return `${(value / 1000).toPrecision(3)} s`;
  return `${value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ms`;
}

export const percent = (value) => `${(100 * value).toFixed(1)} %`;

export function prediction(value) {
  if (typeof value !== "number") return String(value);
  return Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-4) ? value.toExponential(3) : value.toFixed(4);
}

// The least of 1, 2, 5, 10, … that is not below `value`.
export function ceiling(value) {
  if (!(value > 0)) return 1;
  const scale = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * scale).find((step) => step >= value * 0.9999);
}

export const sum = (values) => values.reduce((total, value) => total + value, 0);

// exp(x) / Σ exp(x), of values that are not probabilities already.
export function probabilities(values) {
  if (values.every((x) => x >= 0 && x <= 1) && Math.abs(sum(values) - 1) < 1e-3) return values;
  const top = Math.max(...values);
  const powers = values.map((x) => Math.exp(x - top));
  const total = sum(powers);
  return powers.map((x) => x / total);
}
