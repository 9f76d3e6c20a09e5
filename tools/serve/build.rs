//! Converts the OpenAPI document to JSON, in one line.

use serde_json::Value;
use std::{env, error::Error, fs, path::Path};

const DOCUMENT: &str = "src/http/openapi.yaml";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={DOCUMENT}");
    let mut document: Value = serde_yaml::from_str(&fs::read_to_string(DOCUMENT)?)?;
    document["info"]["version"] = env::var("CARGO_PKG_VERSION")?.into();
    let folder = env::var_os("OUT_DIR").ok_or("no OUT_DIR")?;
    fs::write(Path::new(&folder).join("openapi.json"), document.to_string())?;
    Ok(())
}
