//! Compressed bodies: `Content-Encoding` of requests, `Accept-Encoding` of responses; gzip and deflate (zlib).

use crate::error::{Error, Result};
use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use flate2::{
    Compression,
    read::{GzDecoder, MultiGzDecoder, ZlibDecoder},
    write::{GzEncoder, ZlibEncoder},
};
use std::io::{self, Read, Write};

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Gzip,
    /// Deflate in the format of zlib, as RFC 9110 has it.
    Deflate,
}

impl Encoding {
    /// How the body of a request is compressed; None if it is not.
    ///
    /// # Errors
    /// When it is compressed in another way.
    pub fn of_request(headers: &HeaderMap) -> Result<Option<Self>> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(None) };
        match value.as_bytes() {
            b"" | b"identity" => Ok(None),
            name => Self::of_name(name).map(Some).ok_or_else(|| {
                Error::Invalid(format!("Content-Encoding {value:?}: expected gzip, deflate or identity"))
            }),
        }
    }

    /// How the client wants the response; None for uncompressed.
    pub fn of_response(headers: &HeaderMap) -> Option<Self> {
        let accepted = headers.get(header::ACCEPT_ENCODING)?.to_str().ok()?;
        let is_refused = |parameters: &str| parameters.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
        accepted.split(',').find_map(|one| {
            let (name, parameters) = one.split_once(';').unwrap_or((one, ""));
            Self::of_name(name.trim().as_bytes()).filter(|_| !is_refused(parameters))
        })
    }

    fn of_name(name: &[u8]) -> Option<Self> {
        match name {
            name if name.eq_ignore_ascii_case(b"gzip") => Some(Self::Gzip),
            name if name.eq_ignore_ascii_case(b"deflate") => Some(Self::Deflate),
            _ => None,
        }
    }

    /// The value of `Content-Encoding`.
    pub fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        })
    }

    /// What was compressed, at most `limit` bytes.
    ///
    /// # Errors
    /// When it is damaged or longer.
    pub fn decode(self, body: &[u8], limit: usize) -> Result<Bytes> {
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let mut decoded = Vec::new();
        let read = match self {
            Self::Gzip => GzDecoder::new(body).take(most).read_to_end(&mut decoded),
            Self::Deflate => ZlibDecoder::new(body).take(most).read_to_end(&mut decoded),
        };
        read.map_err(|e| Error::Invalid(format!("the compressed body is damaged: {e}")))?;
        if decoded.len() > limit {
            return Err(Error::TooLarge { limit });
        }
        Ok(decoded.into())
    }

    /// As [`Encoding::decode`], while it is read and of any length.
    pub fn reader(self, body: impl Read + Send + 'static) -> Box<dyn Read + Send> {
        match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(body)),
            Self::Deflate => Box::new(ZlibDecoder::new(body)),
        }
    }

    /// Compresses, fast rather than small.
    ///
    /// # Errors
    /// None that writing to memory has.
    pub fn encode(self, body: &[u8]) -> Result<Bytes> {
        let encode = || -> io::Result<Vec<u8>> {
            match self {
                Self::Gzip => {
                    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                    encoder.write_all(body)?;
                    encoder.finish()
                }
                Self::Deflate => {
                    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                    encoder.write_all(body)?;
                    encoder.finish()
                }
            }
        };
        encode().map(Bytes::from).map_err(|e| Error::Internal(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(value: &'static str) -> Option<Encoding> {
        Encoding::of_response(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]))
    }

    #[test]
    fn a_client_says_what_it_accepts() {
        assert_eq!(accepting("gzip"), Some(Encoding::Gzip));
        assert_eq!(accepting("br, deflate;q=0.5, gzip"), Some(Encoding::Deflate));
        assert_eq!(accepting("gzip;q=0, Deflate"), Some(Encoding::Deflate));
        assert_eq!(accepting("identity"), None);
        assert_eq!(accepting(""), None);
    }

    #[test]
    fn a_body_comes_back_and_a_bomb_is_refused() {
        let body = vec![7; 100_000];
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            let encoded = encoding.encode(&body).expect("encoded");
            assert!(encoded.len() < 1000);
            assert_eq!(encoding.decode(&encoded, body.len()).expect("decoded"), body);
            assert!(matches!(encoding.decode(&encoded, body.len() - 1), Err(Error::TooLarge { .. })));
            assert!(matches!(encoding.decode(&encoded[..encoded.len() / 2], body.len()), Err(Error::Invalid(_))));
            assert!(matches!(encoding.decode(b"garbage", 100), Err(Error::Invalid(_))));
        }
    }
}
