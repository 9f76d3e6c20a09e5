//! What MLflow accepts as names and values (`mlflow/utils/validation.py`).

use serde_json::Value;

/// Characters of a param's, metric's or tag's key.
const MAX_KEY: usize = 250;
/// Characters of a param's value.
const MAX_PARAM: usize = 6000;
/// Characters of a tag's value.
const MAX_TAG: usize = 8000;

/// A key as MLflow takes it: letters, digits and `_-. :/`, and, as a path, one that leads to itself.
pub fn key(name: &str) -> String {
    let known = |c: char| if c.is_alphanumeric() || "_-. :/".contains(c) { c } else { '_' };
    let clean: String = name.chars().map(known).collect();
    let parts = clean.split('/').filter(|part| !part.is_empty() && *part != ".");
    let key = parts.map(|part| if part == ".." { "__" } else { part }).collect::<Vec<_>>().join("/");
    if key.is_empty() { "_".into() } else { shortened(&key, MAX_KEY) }
}

/// A param's value, cut where it is too long, as MLflow's own client does.
pub fn param_value(value: &str) -> String {
    shortened(value, MAX_PARAM)
}

/// A tag's value, likewise.
pub fn tag_value(value: &str) -> String {
    shortened(value, MAX_TAG)
}

fn shortened(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}

/// Settings as params: `optimizer.learning_rate`, lists and empty maps as JSON.
pub fn flatten(config: &Value) -> Vec<(String, String)> {
    let mut params = Vec::new();
    flatten_into(&mut params, "", config);
    params
}

fn flatten_into(params: &mut Vec<(String, String)>, path: &str, value: &Value) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, value) in map {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten_into(params, &path, value);
            }
        }
        Value::String(text) => params.push((key(path), param_value(text))),
        other => params.push((key(path), param_value(&other.to_string()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_made_acceptable() {
        for (name, expected) in [
            ("optimizer.learning_rate", "optimizer.learning_rate"),
            ("val/loss", "val/loss"),
            ("a$b%c", "a_b_c"),
            ("/a//b/./c/", "a/b/c"),
            ("../up", "__/up"),
            ("größe", "größe"),
            ("", "_"),
            (".", "_"),
        ] {
            assert_eq!(key(name), expected, "{name}");
        }
        assert_eq!(key(&"é".repeat(300)).chars().count(), MAX_KEY);
    }

    #[test]
    fn settings_become_flat() {
        let config = json!({"model": {"hidden": [64, 64], "name": "mlp"}, "seed": 0, "tags": {}, "clip": null});
        let expected =
            [("model.hidden", "[64,64]"), ("model.name", "mlp"), ("seed", "0"), ("tags", "{}"), ("clip", "null")];
        let expected: Vec<_> = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(flatten(&config), expected);
    }
}
