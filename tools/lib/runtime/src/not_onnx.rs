//! Explanations for paths of run folders, checkpoints and missing files where an ONNX model is expected.

use std::path::Path;

/// What is at the path instead of an ONNX model, and what to do; None where it may be a model. `usage` is what stands in
/// front of a model's path on the command line, for instance `-m`.
pub fn explain_not_onnx(path: &Path, usage: &str) -> Option<String> {
    let name = path.display();
    if path.is_dir() {
        let exported = path.join("model.onnx");
        return Some(if exported.is_file() {
            format!("{name}: a folder; its model is {usage} {}", exported.display())
        } else if path.join("config.yaml").is_file() {
            format!("{name}: a run folder; {}", export(path, &exported, usage))
        } else {
            format!("{name}: a folder, expected an .onnx file")
        });
    }
    let has_extension = |extension| path.extension().is_some_and(|found| found == extension);
    if has_extension("safetensors") && path.is_file() {
        let (what, from) = match path.parent().filter(|_| path.ends_with("model.safetensors")) {
            Some(folder) if folder != Path::new("") => ("the weights of a run", folder),
            _ => ("weights", path),
        };
        let export = export(from, &path.with_extension("onnx"), usage);
        return Some(format!("{name}: {what}, and no ONNX model; {export}"));
    }
    if has_extension("safetensors") && !path.exists() {
        return Some(format!(
            "{name}: no such file; expected an .onnx model, which pipegrad export RUN writes to RUN/model.onnx: \
             {usage} RUN/model.onnx"
        ));
    }
    let weights = path.with_extension("safetensors");
    let not_exported = has_extension("onnx") && !path.exists() && weights.is_file();
    not_exported.then(|| format!("{name}: not there yet; pipegrad export {} -o {name} makes it", weights.display()))
}

fn export(from: &Path, to: &Path, usage: &str) -> String {
    format!("export it first: pipegrad export {}, then {usage} {}", from.display(), to.display())
}
