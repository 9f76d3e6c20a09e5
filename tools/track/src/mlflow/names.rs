//! Names and values that MLflow accepts (`mlflow/utils/validation.py`).

use files::sha256;
use serde_json::Value;

/// Longest key of a param, metric or tag, in characters.
const MAX_KEY: usize = 250;
/// Longest value of a param, in characters.
const MAX_PARAM: usize = 6000;
/// Longest value of a tag, in characters.
const MAX_TAG: usize = 8000;

/// Hexadecimal digits that are appended to a changed name.
const DIGEST_DIGITS: usize = 6;

/// A key that MLflow accepts: at most 250 letters, digits and `_-. :/`, and a normalized relative path. A name that is not
/// valid is changed and gets a part of its digest, so that different names, such as `top@5` and `top#5`, stay different.
pub fn key(name: &str) -> String {
    let key = normalized(name);
    if !key.is_empty() && key == name && key.chars().count() <= MAX_KEY {
        return key;
    }
    format!("{}_{}", truncated(&key, MAX_KEY - 1 - DIGEST_DIGITS), short_digest(name))
}

/// Replaces invalid characters by `_`, and normalizes the path.
fn normalized(name: &str) -> String {
    let valid = |c: char| if c.is_alphanumeric() || "_-. :/".contains(c) { c } else { '_' };
    let clean: String = name.chars().map(valid).collect();
    let components = clean.split('/').filter(|component| !component.is_empty() && *component != ".");
    components.map(|component| if component == ".." { "__" } else { component }).collect::<Vec<_>>().join("/")
}

/// The first 6 hexadecimal digits of the SHA-256 of a name.
pub fn short_digest(name: &str) -> String {
    sha256(name)[..DIGEST_DIGITS].to_owned()
}

/// The value of a param, truncated to MLflow's limit as MLflow's own client does.
pub fn param_value(value: &str) -> String {
    truncated(value, MAX_PARAM)
}

/// The name of a run, truncated to MLflow's limit.
pub fn run_name(name: &str) -> String {
    truncated(name, MAX_KEY)
}

/// The value of a tag, truncated to MLflow's limit.
pub fn tag_value(value: &str) -> String {
    truncated(value, MAX_TAG)
}

fn truncated(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}

/// Settings as params, by dotted key (`optimizer.learning_rate`); lists and empty maps are JSON.
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

    /// The digests are those of `printf %s NAME | sha256sum`.
    #[test]
    fn keys_become_valid_and_stay_different() {
        for (name, expected) in [
            ("optimizer.learning_rate", "optimizer.learning_rate"),
            ("val/loss", "val/loss"),
            ("größe", "größe"),
            ("top_5", "top_5"),
            ("top@5", "top_5_e67973"),
            ("top#5", "top_5_2831e7"),
            ("a$b%c", "a_b_c_f3cd8e"),
            ("/a//b/./c/", "a/b/c_6be56a"),
            ("../up", "__/up_8c722b"),
            ("", "_e3b0c4"),
            (".", "_cdb4ee"),
        ] {
            assert_eq!(key(name), expected, "{name}");
        }
        let long = "é".repeat(300);
        assert_eq!(key(&long).chars().count(), MAX_KEY);
        assert_ne!(key(&long), key(&long.replacen('é', "e", 1)));
        assert_ne!(key(&long), key(&(long.clone() + "x")));
    }

    #[test]
    fn settings_have_dotted_keys() {
        let config = json!({"model": {"hidden": [64, 64], "name": "mlp"}, "seed": 0, "tags": {}, "clip": null});
        let expected =
            [("model.hidden", "[64,64]"), ("model.name", "mlp"), ("seed", "0"), ("tags", "{}"), ("clip", "null")];
        let expected: Vec<_> = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(flatten(&config), expected);
    }
}
