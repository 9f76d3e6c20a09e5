//! Names of models and versions: out of a path, a request or a configuration, they become part of a path only here.

/// Bytes of a model's name at most, as file systems have it.
const MOST: usize = 255;

/// Whether `name` can be a model's: the name of a folder, and nothing else of a path.
pub fn is_model(name: &str) -> bool {
    let is_plain = |c: char| !c.is_control() && c != '/' && c != '\\';
    !name.is_empty() && name.len() <= MOST && !name.starts_with('.') && name.chars().all(is_plain)
}

/// The version that a folder's name or a request says: a whole number from 1, without leading zeros.
pub fn version(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    // Triton's are 64-bit with a sign.
    text.parse().ok().filter(|version| is_number && i64::try_from(*version).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_paths() {
        for name in ["mlp", "ResNet-18", "a.b", "ä b", &"x".repeat(255)] {
            assert!(is_model(name), "{name}");
        }
        for name in ["", ".", "..", ".git", "a/b", "/", "a\\b", "a\0", "a\nb", &"x".repeat(256)] {
            assert!(!is_model(name), "{name:?}");
        }
    }

    #[test]
    fn versions_are_numbers_from_1() {
        assert_eq!(["1", "10", "9223372036854775807"].map(version), [Some(1), Some(10), Some(i64::MAX as u64)]);
        for text in ["", "0", "01", "-1", "+1", "1.0", "one", " 1", "9223372036854775808", "99999999999999999999"] {
            assert_eq!(version(text), None, "{text:?}");
        }
    }
}
