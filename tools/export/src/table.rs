//! The comparison as a short table for a person who watches.

use crate::gate::Comparison;
use std::fmt::Write;

/// Errors of each output, agreement and accuracy; `precision` is what was compared with fp32.
pub fn text(found: &Comparison, precision: &str) -> String {
    let mut text = format!("{precision} and fp32 on {} rows\n", found.rows);
    for output in &found.outputs {
        let (name, mean, max) = (&output.name, output.relative_mean(), output.relative_max());
        let _ = writeln!(text, "  {name}: mean error {mean:.2e}, maximum {max:.2e} of its root mean square");
    }
    if let Some(agreement) = found.classes.and_then(|classes| classes.agreement()) {
        let _ = writeln!(text, "  same predicted class: {agreement:.2} %");
    }
    if let Some((reference, candidate)) = found.classes.and_then(|classes| classes.accuracy()) {
        let _ = writeln!(text, "  accuracy: {candidate:.2} %, in fp32 {reference:.2} %");
    }
    text
}
