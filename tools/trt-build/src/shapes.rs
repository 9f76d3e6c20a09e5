//! Shapes as trtexec writes them: `x:1x3x32x32,mask:1x1`.

use anyhow::{Context, ensure};

/// A shape by the name of its input.
pub type Shapes = Vec<(String, Vec<i64>)>;

/// Reads shapes; `setting` is what errors call them.
///
/// # Errors
/// When the text has another form, or an input twice.
pub fn parse(text: &str, setting: &str) -> anyhow::Result<Shapes> {
    let mut shapes = Shapes::new();
    for part in text.split(',') {
        let wrong = || format!("{setting}: {part:?}; expected name:1x3x32x32");
        // A name may have colons: `input:0`.
        let (name, shape) = part.rsplit_once(':').with_context(wrong)?;
        let name = name.trim().trim_matches('\'');
        let shape = shape.trim().split('x').map(|dim| dim.parse().ok().filter(|dim| *dim >= 0));
        let shape = shape.collect::<Option<Vec<i64>>>().with_context(wrong)?;
        ensure!(!name.is_empty(), wrong());
        ensure!(shapes.iter().all(|(other, _)| other != name), "{setting}: input {name:?} twice");
        shapes.push((name.into(), shape));
    }
    Ok(shapes)
}

/// As [`parse`] reads it.
pub fn write(shape: &[i64]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trtexecs_form_is_read() {
        let read = |text| parse(text, "trt.min_shapes").map_err(|e| e.to_string());
        let shape = |name: &str, dims: &[i64]| (name.to_owned(), dims.to_vec());
        assert_eq!(read("x:1x3,input:0:8"), Ok(vec![shape("x", &[1, 3]), shape("input:0", &[8])]));
        assert_eq!(read("'x':4"), Ok(vec![shape("x", &[4])]));
        for wrong in ["", "x", "x:", ":1", "x:1x", "x:-1", "x:1,", "x:axb", "x:99999999999999999999"] {
            assert!(read(wrong).is_err_and(|e| e.contains("expected name:1x3x32x32")), "{wrong}");
        }
        assert_eq!(read("x:1,x:2"), Err("trt.min_shapes: input \"x\" twice".into()));
    }
}
