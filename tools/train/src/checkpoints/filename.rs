//! File names of checkpoints: `callbacks.checkpoint.filename`, a template with Python's format fields.

use anyhow::{Context, bail};
use events::Metrics;

pub const EXTENSION: &str = ".safetensors";

/// The file name for these metrics; `monitored` is the value of `{monitor}`.
///
/// # Errors
/// When the template names a metric that the run does not measure.
pub fn file_name(
    template: &str,
    epoch: usize,
    step: usize,
    monitored: f64,
    metrics: &Metrics,
) -> anyhow::Result<String> {
    let value = |name: &str| match name {
        "epoch" => Some(Number::Whole(epoch)),
        "step" => Some(Number::Whole(step)),
        "monitor" => Some(Number::Real(monitored)),
        name => metrics.get(name).map(Number::Real),
    };
    let name = expand(template, value).with_context(|| setting(template))?;
    Ok(name + EXTENSION)
}

/// # Errors
/// When the template is malformed, or names none of the metrics `known`.
pub fn check_template(template: &str, known: &[String]) -> anyhow::Result<()> {
    let value = |name: &str| match name {
        "epoch" | "step" => Some(Number::Whole(0)),
        "monitor" => Some(Number::Real(0.0)),
        name => known.iter().any(|known| known == name).then_some(Number::Real(0.0)),
    };
    expand(template, value).map(drop).with_context(|| setting(template))
}

fn setting(template: &str) -> String {
    format!("callbacks.checkpoint.filename: {template}")
}

enum Number {
    Whole(usize),
    Real(f64),
}

/// Fills in `{name}`, `{name:.4f}` and `{name:.2e}`, as Python's formatting does.
fn expand(template: &str, value: impl Fn(&str) -> Option<Number>) -> anyhow::Result<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (field, after) = after.split_once('}').context("a { without a }")?;
        let (name, format) = field.split_once(':').unwrap_or((field, ""));
        let number = value(name)
            .with_context(|| format!("{name:?} is neither epoch, step, monitor nor a metric of this run"))?;
        text += before;
        text += &formatted(&number, format)?;
        rest = after;
    }
    Ok(text + rest)
}

fn formatted(number: &Number, format: &str) -> anyhow::Result<String> {
    let (digits, kind) = match (format.strip_prefix('.'), number) {
        (None, Number::Whole(n)) if format.is_empty() => return Ok(n.to_string()),
        (None, Number::Real(x)) if format.is_empty() => return Ok(x.to_string()),
        (Some(rest), _) if rest.is_char_boundary(rest.len().saturating_sub(1)) => {
            rest.split_at(rest.len().saturating_sub(1))
        }
        _ => bail!("{format:?} is no format; write for instance .4f or .2e"),
    };
    let digits: usize = digits.parse().ok().filter(|&digits| digits <= 20).context("a format has up to 20 digits")?;
    let x = match number {
        Number::Whole(n) => *n as f64,
        Number::Real(x) => *x,
    };
    match kind {
        "f" => Ok(format!("{x:.digits$}")),
        "e" => Ok(scientific(x, digits)),
        _ => bail!("{format:?} is no format; write for instance .4f or .2e"),
    }
}

/// As C's `%e`: at least two digits of exponent.
fn scientific(x: f64, digits: usize) -> String {
    let text = format!("{x:.digits$e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => match exponent.strip_prefix('-') {
            Some(exponent) => format!("{mantissa}e-{exponent:0>2}"),
            None => format!("{mantissa}e+{exponent:0>2}"),
        },
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(template: &str) -> anyhow::Result<String> {
        expand(template, |name| match name {
            "epoch" => Some(Number::Whole(3)),
            "val_loss" => Some(Number::Real(0.001_234_56)),
            "big" => Some(Number::Real(12345.678)),
            _ => None,
        })
    }

    /// Expected: Python's `template.format(epoch=3, val_loss=0.00123456, big=12345.678)`.
    #[test]
    fn names_are_filled_in_as_python_does() {
        for (template, expected) in [
            ("{epoch}-{val_loss:.4f}", "3-0.0012"),
            ("e{epoch:.1f}_{val_loss:.2e}_{big:.1e}", "e3.0_1.23e-03_1.2e+04"),
            ("plain {val_loss}", "plain 0.00123456"),
        ] {
            assert_eq!(name(template).ok().as_deref(), Some(expected), "{template}");
        }
        for bad in ["{epoch", "{nope}", "{val_loss:.4g}", "{val_loss:4f}", "{val_loss:.f}", "{val_loss:.99f}", "{:.}"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
