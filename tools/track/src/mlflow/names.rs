//! What MLflow accepts as names and values (`mlflow/utils/validation.py`).

use files::sha256;
use serde_json::Value;

/// Characters of a param's, metric's or tag's key.
const MAX_KEY: usize = 250;
/// Characters of a param's value.
const MAX_PARAM: usize = 6000;
/// Characters of a tag's value.
const MAX_TAG: usize = 8000;

/// Hexadecimal digits that tell names apart which are the same once they are made acceptable.
const DIGEST_DIGITS: usize = 6;

/// A key as MLflow takes it: letters, digits and `_-. :/`, and, as a path, one that leads to itself. A name that
/// is none gets a part of its digest, since two of them, `top@5` and `top#5`, must not become one.
pub fn key(name: &str) -> String {
    let key = acceptable(name);
    if !key.is_empty() && key == name && key.chars().count() <= MAX_KEY {
        return key;
    }
    format!("{}_{}", shortened(&key, MAX_KEY - 1 - DIGEST_DIGITS), short_digest(name))
}

fn acceptable(name: &str) -> String {
    let known = |c: char| if c.is_alphanumeric() || "_-. :/".contains(c) { c } else { '_' };
    let clean: String = name.chars().map(known).collect();
    let parts = clean.split('/').filter(|part| !part.is_empty() && *part != ".");
    parts.map(|part| if part == ".." { "__" } else { part }).collect::<Vec<_>>().join("/")
}

/// What tells a name apart from others that become the same.
pub fn short_digest(name: &str) -> String {
    sha256(name)[..DIGEST_DIGITS].to_owned()
}

/// A param's value, cut where it is too long, as MLflow's own client does.
pub fn param_value(value: &str) -> String {
    shortened(value, MAX_PARAM)
}

/// The name of a run, likewise.
pub fn run_name(name: &str) -> String {
    shortened(name, MAX_KEY)
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

    /// The digests are those of `printf %s NAME | sha256sum`.
    #[test]
    fn keys_are_made_acceptable_and_stay_different() {
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
    fn settings_become_flat() {
        let config = json!({"model": {"hidden": [64, 64], "name": "mlp"}, "seed": 0, "tags": {}, "clip": null});
        let expected =
            [("model.hidden", "[64,64]"), ("model.name", "mlp"), ("seed", "0"), ("tags", "{}"), ("clip", "null")];
        let expected: Vec<_> = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(flatten(&config), expected);
    }
}
