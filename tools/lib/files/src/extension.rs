//! What the extension of a file's name promises.

use std::path::Path;

/// Extensions of formats that people know: a file called so that holds another format misleads who reads it.
const KNOWN: [&str; 39] = [
    "7z",
    "arrow",
    "avro",
    "bz2",
    "csv",
    "db",
    "feather",
    "gz",
    "h5",
    "hdf5",
    "html",
    "json",
    "jsonl",
    "md",
    "ndjson",
    "npy",
    "npz",
    "onnx",
    "orc",
    "parquet",
    "pickle",
    "pkl",
    "png",
    "pt",
    "pth",
    "py",
    "safetensors",
    "sqlite",
    "svg",
    "tar",
    "toml",
    "tsv",
    "xlsx",
    "xml",
    "xz",
    "yaml",
    "yml",
    "zip",
    "zst",
];

/// Whether the extension of `path` is a known format's that is none of `written`.
pub fn promises_another(path: &Path, written: &[&str]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_lowercase();
    KNOWN.contains(&extension.as_str()) && !written.contains(&extension.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_extension_must_be_one_that_is_written() {
        let promises = |path: &str| promises_another(Path::new(path), &["json", "md"]);
        assert!(promises("a/rows.parquet") && promises("X.NPY") && promises("t.tar.gz"));
        assert!(
            !promises("a.json") && !promises("A.JSON") && !promises("rows") && !promises("rows.mine") && !promises("")
        );
    }
}
