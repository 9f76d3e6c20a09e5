//! Devices: how fast they compute, by element type, and read memory.

use anyhow::{Context, ensure};
use onnx::DataType;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Limit on a device's file in bytes.
const MAX_BYTES: u64 = 1 << 20;
const TERA: f64 = 1e12;
const GIGA: f64 = 1e9;

/// Config group `devices`, and the file of `--device`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    pub name: String,
    /// Where the numbers are from.
    pub source: String,
    /// In 10¹² operations a second, dense, two for each multiply-accumulate.
    pub peak_tflops: Peaks,
    /// Of the memory that holds weights and activations, in 10⁹ bytes a second.
    pub bandwidth_gbs: f64,
}

/// Peaks by element type of the operands; None is as the next wider type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peaks {
    pub float32: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub float64: Option<f64>,
    /// Float32 values, multiplied with 10 bits of mantissa.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tf32: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub float16: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bfloat16: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub float8: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub int8: Option<f64>,
}

/// The arithmetic that a layer runs in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Peak {
    /// `float32`, `tf32`, `int8`.
    pub arithmetic: &'static str,
    /// Operations a second.
    pub flops: f64,
}

/// The least time of a layer on a device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Floor {
    pub seconds: f64,
    pub bound: Bound,
}

/// What takes a layer longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    Compute,
    Memory,
}

impl Bound {
    pub fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Memory => "memory",
        }
    }
}

/// Keys that a device must have.
const REQUIRED: [&str; 4] = ["name", "source", "peak_tflops.float32", "bandwidth_gbs"];
/// A device's file, for the error of one that lacks keys.
const EXAMPLE: &str = "{name: mine, source: measured, peak_tflops: {float32: 8.1}, bandwidth_gbs: 320}";

impl Device {
    /// The device of the settings, or of a file.
    ///
    /// # Errors
    /// When it cannot be read, lacks keys, or a number is not above 0.
    pub fn read(document: &config::Document, file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = file else {
            return document.section::<Self>("devices")?.checked("devices.");
        };
        let bytes = files::read_file(path, files::Limit { bytes: MAX_BYTES, setting: None }).context("--device")?;
        let name = path.display().to_string();
        let text = String::from_utf8(bytes).ok().with_context(|| format!("--device {name}: not text"))?;
        // An empty file is one that lacks every key.
        let text = if text.trim().is_empty() { "{}" } else { &text };
        let document = config::Document::from_yaml(&name, text)?;
        let missing: Vec<&str> = REQUIRED.into_iter().filter(|key| document.get(key).is_none()).collect();
        ensure!(
            missing.is_empty(),
            "--device {name}: {} missing; a device is for instance {EXAMPLE}",
            missing.join(", ")
        );
        document.section::<Self>("")?.checked(&format!("--device {name}: "))
    }

    /// `place` is what stands in front of a key in an error.
    fn checked(self, place: &str) -> anyhow::Result<Self> {
        let Peaks { float32, float64, tf32, float16, bfloat16, float8, int8 } = self.peak_tflops;
        let peaks = [
            ("peak_tflops.float32", Some(float32)),
            ("peak_tflops.float64", float64),
            ("peak_tflops.tf32", tf32),
            ("peak_tflops.float16", float16),
            ("peak_tflops.bfloat16", bfloat16),
            ("peak_tflops.float8", float8),
            ("peak_tflops.int8", int8),
            ("bandwidth_gbs", Some(self.bandwidth_gbs)),
        ];
        for (key, number) in peaks.into_iter().filter_map(|(key, number)| Some((key, number?))) {
            ensure!(number.is_finite() && number > 0.0, "{place}{key}: {number}; expected above 0");
        }
        Ok(self)
    }

    /// Bytes a second.
    pub fn bandwidth(&self) -> f64 {
        self.bandwidth_gbs * GIGA
    }

    /// The arithmetic for operands of a type, with TF32 for float32 if that is wanted and there. A type that the device has
    /// no peak for runs as the next wider one; 8-bit integers as float32 values, other integers and float64 as float32.
    pub fn peak(&self, dtype: DataType, tf32: bool) -> Peak {
        use DataType::{
            Bfloat16, Double, Float, Float4e2m1, Float8e4m3fn, Float8e4m3fnuz, Float8e5m2, Float8e5m2fnuz, Float16,
            Int4, Int8, Uint4, Uint8,
        };
        let peaks = &self.peak_tflops;
        let float32 = ("float32", Some(peaks.float32));
        let single = if tf32 { ("tf32", peaks.tf32) } else { float32 };
        let half = ("float16", peaks.float16);
        let order: &[(&'static str, Option<f64>)] = match dtype {
            Double => &[("float64", peaks.float64)],
            Float16 => &[half, single],
            Bfloat16 => &[("bfloat16", peaks.bfloat16), half, single],
            Float8e4m3fn | Float8e4m3fnuz | Float8e5m2 | Float8e5m2fnuz | Float4e2m1 => {
                &[("float8", peaks.float8), half, single]
            }
            Int8 | Uint8 | Int4 | Uint4 => &[("int8", peaks.int8), single],
            Float => &[single],
            _ => &[],
        };
        let known = order.iter().find_map(|(name, peak)| Some((*name, (*peak)?)));
        let (arithmetic, tera) = known.unwrap_or(("float32", peaks.float32));
        Peak { arithmetic, flops: tera * TERA }
    }

    /// The least time for operations and bytes: the longer of computing at the peak and moving at full bandwidth.
    pub fn floor(&self, peak: Peak, flops: u64, bytes: u64) -> Floor {
        let (compute, memory) = (flops as f64 / peak.flops, bytes as f64 / self.bandwidth());
        let bound = if compute >= memory { Bound::Compute } else { Bound::Memory };
        Floor { seconds: compute.max(memory), bound }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Device {
        let peaks = Peaks {
            float32: 10.0,
            float64: None,
            tf32: Some(80.0),
            float16: Some(160.0),
            bfloat16: None,
            float8: None,
            int8: None,
        };
        Device { name: "d".into(), source: "s".into(), peak_tflops: peaks, bandwidth_gbs: 100.0 }
    }

    #[test]
    fn a_missing_type_runs_as_a_wider_one() {
        let of = |dtype, tf32| device().peak(dtype, tf32).arithmetic;
        assert_eq!((of(DataType::Float, true), of(DataType::Float, false)), ("tf32", "float32"));
        assert_eq!((of(DataType::Bfloat16, false), of(DataType::Float8e5m2, false)), ("float16", "float16"));
        assert_eq!((of(DataType::Int8, false), of(DataType::Int8, true)), ("float32", "tf32"));
        // TF32 has too few bits for these.
        assert_eq!([DataType::Double, DataType::Int64].map(|dtype| of(dtype, true)), ["float32", "float32"]);
    }

    #[test]
    fn the_floor_is_the_longer_of_computing_and_moving() {
        let peak = device().peak(DataType::Float, false);
        // 10 TFLOP/s, 100 GB/s: the ridge is at 100 FLOP a byte.
        assert_eq!(device().floor(peak, 10_000_000, 50_000), Floor { seconds: 1e-6, bound: Bound::Compute });
        assert_eq!(device().floor(peak, 10_000_000, 200_000), Floor { seconds: 2e-6, bound: Bound::Memory });
    }
}
