//! The header of a config file: `# @package NAME`.

use crate::yaml::YamlError;

/// What a file's first comment lines declare. Hydra reads no further than 512 bytes.
pub(crate) fn package(text: &str) -> Result<Option<String>, YamlError> {
    const HEADER_BYTES: usize = 512;
    let mut package = None;
    let mut seen = 0;
    for line in text.lines() {
        seen += line.len() + 1;
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let Some(declared) = line.strip_prefix('#').map(|rest| rest.trim_start_matches('#').trim()) else { break };
        let Some(declared) = declared.strip_prefix('@') else { break };
        match declared.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["package", name] => package = Some((*name).to_owned()),
            [_, _] => {}
            _ => return Err(YamlError::Header(line.to_owned())),
        }
        if seen > HEADER_BYTES {
            break;
        }
    }
    Ok(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_read_from_the_first_comments() {
        assert_eq!(package("# @package a.b\nx: 1\n"), Ok(Some("a.b".into())));
        assert_eq!(package("\n#@package _global_\n"), Ok(Some("_global_".into())));
        assert_eq!(package("# a comment\n# @package a\n"), Ok(None));
        assert_eq!(package("x: 1\n# @package a\n"), Ok(None));
        assert!(package("# @package a b\n").is_err());
    }
}
