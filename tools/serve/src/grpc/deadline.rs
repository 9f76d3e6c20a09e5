//! The `grpc-timeout` of a request: how long its client waits.

use std::{future::Future, time::Duration};
use tonic::{Status, metadata::MetadataMap};

/// Digits of a timeout at most, says gRPC.
const DIGITS: usize = 8;

/// The output of `work`, unless the deadline that the client set passes first: then `work` is dropped.
pub async fn within<T>(metadata: &MetadataMap, work: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    match timeout(metadata)? {
        None => work.await,
        Some(timeout) => tokio::time::timeout(timeout, work).await.unwrap_or_else(|_| {
            Err(Status::deadline_exceeded(format!("no answer within {timeout:?}, as the client asks")))
        }),
    }
}

fn timeout(metadata: &MetadataMap) -> Result<Option<Duration>, Status> {
    let Some(value) = metadata.get("grpc-timeout") else { return Ok(None) };
    let timeout = value.to_str().ok().and_then(parse);
    timeout.map(Some).ok_or_else(|| Status::invalid_argument("grpc-timeout: expected up to 8 digits and a unit"))
}

fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_number = (1..=DIGITS).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| is_number)?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit() {
        let cases = [
            ("2H", Some(7_200_000_000_000)),
            ("1M", Some(60_000_000_000)),
            ("3S", Some(3_000_000_000)),
            ("99999999m", Some(99_999_999_000_000)),
            ("5u", Some(5_000)),
            ("0n", Some(0)),
            ("", None),
            ("S", None),
            ("+1S", None),
            ("1s", None),
            ("100000000S", None),
            ("1é", None),
        ];
        for (text, nanoseconds) in cases {
            assert_eq!(parse(text).map(|timeout| timeout.as_nanos()), nanoseconds, "{text}");
        }
    }
}
