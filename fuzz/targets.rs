//! What must hold for any input: no panic, an end in bounded time, and what each target asserts beside.

use config::{Document, Sources};
use std::{fs, path::Path};

/// A document that is read can be written, and reads back as the same.
pub fn yaml(text: &str) {
    let Ok(document) = Document::from_yaml("fuzz.yaml", text) else { return };
    let written = document.to_yaml();
    // YAML 1.1 breaks lines at these, and we write YAML 1.1.
    if written.contains(['\u{85}', '\u{2028}', '\u{2029}']) {
        return;
    }
    let again = Document::from_yaml("written.yaml", &written).expect("what was written is read");
    assert_eq!(written, again.to_yaml());
    let _ = document.resolved();
}

/// An override that is parsed can be applied or refused.
pub fn overrides(text: &str) {
    let overrides: Vec<String> = text.lines().take(8).map(str::to_owned).collect();
    for one in &overrides {
        let _ = config::overrides::Override::parse(one);
    }
    let _ = config::compose(&Sources::default(), &overrides);
}

/// Text with interpolations, among values that it may refer to.
pub fn interpolation(text: &str) {
    let base = "a: 1\nb: {c: text, d: [1, 2, {e: x}], f: '${a}'}\nself: ${mine}\nmine: placeholder\n";
    let Ok(document) = Document::from_yaml("base.yaml", base) else { return };
    let _ = document.with_text("mine", text).resolved();
}

/// A folder of configs: the text's parts, cut at lines of `---`, are a primary config and options of groups.
pub fn composition(text: &str, folder: &Path) {
    let names = ["config.yaml", "a/one.yaml", "a/two.yaml", "b/one.yaml", "a/x/one.yaml"];
    let mut parts = text.split("\n---\n");
    for name in names {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("the folder can be made");
        fs::write(path, parts.next().unwrap_or("")).expect("the file can be written");
    }
    let overrides: Vec<String> = parts.next().unwrap_or("").lines().take(4).map(str::to_owned).collect();
    let sources =
        Sources { config_name: Some("config".into()), config_path: Some(folder.to_owned()), ..Sources::default() };
    let _ = config::compose(&sources, &overrides);
    let _ = config::compose_for(&["a", "b"], &sources, &overrides);
    let _ = config::explain(&sources, &overrides);
}
