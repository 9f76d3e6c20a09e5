//! Rooflines: what `profile --to json` says of the layers of models and of a device.

use anyhow::{Context, ensure};
use indexmap::IndexMap;
use serde::Deserialize;

/// A device's roofs, and the layers of models under them.
#[derive(Debug, Clone, PartialEq)]
pub struct Roofline {
    /// The components of its path, from which its name is taken.
    pub path: Vec<String>,
    pub device: String,
    /// Bytes a second.
    pub bandwidth: f64,
    /// Operations a second by the arithmetic's name, of those that layers use; the highest first.
    pub roofs: Vec<(String, f64)>,
    pub models: Vec<ModelPoints>,
}

/// The layers of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelPoints {
    pub name: String,
    /// The longest first.
    pub layers: Vec<LayerPoint>,
    /// Layers that compute nothing, or whose cost is not known.
    pub left_out: usize,
}

/// A layer that computes something.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerPoint {
    pub name: String,
    /// FLOPs a byte.
    pub intensity: f64,
    /// FLOPs a second: as measured, or else at the floor.
    pub performance: f64,
    /// Share of the model's time.
    pub share: f64,
}

#[derive(Deserialize)]
struct Json {
    device: JsonDevice,
    models: Vec<JsonModel>,
}

#[derive(Deserialize)]
struct JsonDevice {
    name: String,
    peak_tflops: IndexMap<String, f64>,
    bandwidth_gbs: f64,
}

#[derive(Deserialize)]
struct JsonModel {
    model: String,
    layers: Vec<JsonLayer>,
}

#[derive(Deserialize)]
struct JsonLayer {
    name: String,
    flops: Option<f64>,
    intensity: Option<f64>,
    arithmetic: String,
    floor_seconds: Option<f64>,
    /// Measured.
    seconds: Option<f64>,
}

impl Roofline {
    /// Whether a JSON text is one.
    pub fn is_one(text: &str) -> bool {
        let object: Result<IndexMap<String, serde::de::IgnoredAny>, _> = serde_json::from_str(text);
        object.is_ok_and(|object| object.contains_key("device") && object.contains_key("models"))
    }

    /// Reads what `profile --to json` writes.
    ///
    /// # Errors
    /// When it is something else, or no layer computes anything.
    pub fn from_json(name: &str, text: &str) -> anyhow::Result<Self> {
        let json: Json = serde_json::from_str(text)
            .with_context(|| format!("{name}: has device and models, but is not as profile --to json writes it"))?;
        let used =
            |roof: &str| json.models.iter().flat_map(|model| &model.layers).any(|layer| layer.arithmetic == roof);
        let mut roofs: Vec<(String, f64)> =
            json.device.peak_tflops.iter().map(|(name, tera)| (name.clone(), tera * 1e12)).collect();
        roofs.retain(|(roof, _)| used(roof));
        roofs.sort_by(|a, b| b.1.total_cmp(&a.1));
        let bandwidth = json.device.bandwidth_gbs * 1e9;
        let is_positive = |number: f64| number.is_finite() && number > 0.0;
        ensure!(
            is_positive(bandwidth) && !roofs.is_empty() && roofs.iter().all(|roof| is_positive(roof.1)),
            "{name}: the device's bandwidth, and its peaks for the layers; expected numbers above 0"
        );
        let models: Vec<ModelPoints> = json.models.iter().map(ModelPoints::new).collect();
        ensure!(
            models.iter().any(|model| !model.layers.is_empty()),
            "{name}: nothing to draw: no layer computes anything"
        );
        Ok(Self { path: Vec::new(), device: json.device.name, bandwidth, roofs, models })
    }
}

impl ModelPoints {
    fn new(model: &JsonModel) -> Self {
        let seconds = |layer: &JsonLayer| layer.seconds.or(layer.floor_seconds).filter(|seconds| *seconds > 0.0);
        let total: f64 = model.layers.iter().filter_map(seconds).sum();
        let point = |layer: &JsonLayer| {
            let (flops, intensity, seconds) = (layer.flops?, layer.intensity?, seconds(layer)?);
            let point = LayerPoint {
                name: layer.name.clone(),
                intensity,
                performance: flops / seconds,
                share: seconds / total,
            };
            (intensity > 0.0 && flops > 0.0 && point.performance.is_finite()).then_some(point)
        };
        let mut layers: Vec<LayerPoint> = model.layers.iter().filter_map(point).collect();
        layers.sort_by(|a, b| b.share.total_cmp(&a.share));
        Self { name: model.model.clone(), left_out: model.layers.len() - layers.len(), layers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: &str =
        r#""device":{"name":"d","source":"s","peak_tflops":{"float32":1,"int8":4},"bandwidth_gbs":100}"#;

    #[test]
    fn layers_are_points_by_intensity_and_speed() {
        let layers = r#"[{"name":"a","flops":1e6,"intensity":2,"arithmetic":"float32","floor_seconds":1e-6},
            {"name":"b","flops":6e6,"intensity":20,"arithmetic":"float32","floor_seconds":1e-6,"seconds":3e-6},
            {"name":"view","flops":0,"intensity":null,"arithmetic":"float32","floor_seconds":0}]"#;
        let text = format!(r#"{{{DEVICE},"models":[{{"model":"m.onnx","layers":{layers}}}]}}"#);
        assert!(Roofline::is_one(&text));
        let roofline = Roofline::from_json("p.json", &text).expect("a roofline");
        assert_eq!((roofline.roofs, roofline.bandwidth), (vec![("float32".to_owned(), 1e12)], 1e11));
        let [b, a] = roofline.models[0].layers.as_slice() else { panic!("two layers") };
        assert_eq!((b.name.as_str(), b.performance, b.share), ("b", 2e12, 0.75));
        assert_eq!((a.name.as_str(), a.performance, roofline.models[0].left_out), ("a", 1e12, 1));
    }

    #[test]
    fn what_is_none_is_told() {
        for (text, expected) in [
            (format!(r#"{{{DEVICE},"models":[{{"model":"m","layers":[]}}]}}"#), "expected numbers above 0"),
            (format!(r#"{{{DEVICE},"models":3}}"#), "not as profile --to json writes it"),
        ] {
            let error = format!("{:#}", Roofline::from_json("p.json", &text).expect_err("none"));
            assert!(error.starts_with("p.json: ") && error.contains(expected), "{error}");
        }
    }
}
