//! Config group `data`, as far as data is generated.

use crate::distribution::Distribution;
use anyhow::{bail, ensure};
use records::{DType, Field};
use serde::{Deserialize, de::IgnoredAny};

/// What to generate.
pub struct Settings {
    pub rows: u64,
    pub seed: u64,
    pub dtype: DType,
    pub distribution: Distribution,
    pub fields: Vec<Field>,
}

/// The keys that every kind of data has.
#[derive(Deserialize)]
struct Shared {
    kind: Kind,
    rows: u64,
    seed: u64,
    dtype: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Dirichlet,
    Softmax,
    Edge,
    Line,
}

/// One struct for each kind, so that a key of another kind is an unknown key. The shared keys are
/// declared again, so that serde accepts them; [`Shared`] reads them.
macro_rules! kind {
    ($name:ident { $($field:ident: $type:ty),* }) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(dead_code, reason = "the shared keys are only named here")]
        struct $name {
            kind: IgnoredAny,
            rows: IgnoredAny,
            seed: IgnoredAny,
            dtype: IgnoredAny,
            pull: Option<bool>,
            $($field: $type),*
        }
    };
}

kind!(Dirichlet { field: String, classes: usize, alpha: f64 });
kind!(Softmax { field: String, classes: usize, scale: f64 });
kind!(Edge { field: String, classes: usize, one_hot: f64, epsilon: f64 });
kind!(Line { slope: f64, intercept: f64, noise: f64, low: f64, high: f64 });

/// Limits of `alpha`: outside them, Gamma variates are not finite even as logarithms.
const ALPHA: std::ops::RangeInclusive<f64> = 1e-300..=1e300;

/// Reads and checks the settings.
pub fn read(document: &config::Document) -> anyhow::Result<Settings> {
    let Shared { kind, rows, seed, dtype } = document.section("data")?;
    ensure!(rows > 0, "data.rows: 0 rows; at least 1 is needed");
    let dtype: DType = dtype.parse().map_err(|e| anyhow::anyhow!("data.dtype: {e}"))?;
    ensure!(matches!(dtype, DType::F4 | DType::F8), "data.dtype: {dtype}; expected f4 or f8");
    let (distribution, names) = match kind {
        Kind::Dirichlet => {
            let Dirichlet { field, classes, alpha, .. } = document.section("data")?;
            ensure!(ALPHA.contains(&alpha), "data.alpha: {alpha}; expected a number from 1e-300 to 1e300");
            (Distribution::Dirichlet { classes, alpha }, vec![field])
        }
        Kind::Softmax => {
            let Softmax { field, classes, scale, .. } = document.section("data")?;
            not_negative("scale", scale)?;
            (Distribution::Softmax { classes, scale }, vec![field])
        }
        Kind::Edge => {
            let Edge { field, classes, one_hot, epsilon, .. } = document.section("data")?;
            for (key, share) in [("one_hot", one_hot), ("epsilon", epsilon)] {
                ensure!((0.0..=1.0).contains(&share), "data.{key}: {share}; expected 0 to 1");
            }
            ensure!(classes > 1, "data.classes: {classes}; edge cases need at least 2");
            (Distribution::Edge { classes, one_hot, epsilon }, vec![field])
        }
        Kind::Line => {
            let Line { slope, intercept, noise, low, high, .. } = document.section("data")?;
            not_negative("noise", noise)?;
            ensure!(low < high, "data.low: {low}; must be below data.high, {high}");
            let finite = [slope, intercept, noise, high - low].iter().all(|value| value.is_finite());
            ensure!(finite, "data: slope, intercept, noise, low and high must be finite");
            (Distribution::Line { slope, intercept, noise, low, high }, vec!["feature".into(), "label".into()])
        }
    };
    let fields = fields(names, dtype, distribution.width())?;
    Ok(Settings { rows, seed, dtype, distribution, fields })
}

fn not_negative(key: &str, value: f64) -> anyhow::Result<()> {
    ensure!(value.is_finite() && value >= 0.0, "data.{key}: {value}; expected a finite number of at least 0");
    Ok(())
}

/// One vector field, or a scalar field for each name.
fn fields(names: Vec<String>, dtype: DType, width: usize) -> anyhow::Result<Vec<Field>> {
    let fields: Vec<Field> = match names.as_slice() {
        [one] => vec![Field::new(one, dtype, &[width])],
        names => names.iter().map(|name| Field::new(name, dtype, &[])).collect(),
    };
    if width == 0 {
        bail!("data.classes: 0; at least 1 is needed");
    }
    Ok(fields)
}
