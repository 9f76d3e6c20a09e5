//! Addresses in messages.

/// What stands for a password, and for a name that may be a token.
const MASK: &str = "***";

/// An address as a message may show it: `http://me:***@host/path`. Works on text, so that an address that no parser
/// takes (a password with `/`, no scheme, one slash too many) gives nothing away either. Where it is not clear what is
/// a password, too much is masked.
///
/// ```
/// assert_eq!(cli::redacted("http://me:secret@host:5000/x"), "http://me:***@host:5000/x");
/// assert_eq!(cli::redacted("me:se/cret@host"), "me:***@host");
/// assert_eq!(cli::redacted("http://host:5000/x"), "http://host:5000/x");
/// ```
pub fn redacted(address: &str) -> String {
    let (scheme, rest) = match address.find("://") {
        Some(at) => address.split_at(at + "://".len()),
        None => ("", address),
    };
    // A path, which may hold both characters.
    if scheme.is_empty() && rest.starts_with('/') && !rest.starts_with("//") {
        return address.to_owned();
    }
    let slashes = rest.len() - rest.trim_start_matches(['/', '\\']).len();
    let (slashes, rest) = rest.split_at(slashes);
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or(rest);
    let end = match authority.rfind('@') {
        Some(at) => Some(at),
        // A password that holds what ends an authority.
        None if authority.contains(':') => rest.rfind('@'),
        None => None,
    };
    let Some(end) = end else { return address.to_owned() };
    let user = rest[..end].split_once(':').map(|(user, _)| user).filter(|user| !user.is_empty());
    let user = user.map_or(MASK.to_owned(), |user| format!("{user}:{MASK}"));
    format!("{scheme}{slashes}{user}{}", &rest[end..])
}

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn no_password_is_left_in_whatever_shape_the_address_is() {
        for (address, expected) in [
            ("http://me:s3cret@127.0.0.1:99999/x", "http://me:***@127.0.0.1:99999/x"),
            ("ftp://me:s3cret@host/x", "ftp://me:***@host/x"),
            ("postgresql://me:s3cret@host/db?x=1", "postgresql://me:***@host/db?x=1"),
            ("http://me:s3c@ret@host", "http://me:***@host"),
            ("http://me:s3/cret@host/x", "http://me:***@host/x"),
            ("http://me:s3?cr#et@host", "http://me:***@host"),
            ("http://me:80/s3cret@host", "http://me:***@host"),
            ("http:///me:s3cret@host", "http:///me:***@host"),
            ("http:/me:s3cret@host", "http:***@host"),
            ("http:me:s3cret@host", "http:***@host"),
            ("http:\\\\me:s3cret@host", "http:***@host"),
            ("me:s3cret@host:5000", "me:***@host:5000"),
            ("http://:s3cret@host", "http://***@host"),
            ("http://s3cret@host/x", "http://***@host/x"),
            ("http://me:s3cret@", "http://me:***@"),
        ] {
            let shown = redacted(address);
            assert_eq!(shown, expected, "{address}");
            assert!(!shown.contains("s3"), "{shown}");
        }
    }

    #[test]
    fn other_addresses_stay_as_they_are() {
        for address in [
            "http://host:5000/a/b?c=d",
            "https://host/data@v2/x",
            "file:///home/me/a@b",
            "./mlruns",
            "/a:b@c/d",
            "127.0.0.1:5000",
            "",
        ] {
            assert_eq!(redacted(address), address);
        }
    }
}
