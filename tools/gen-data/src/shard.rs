//! `--shard i/n`: a part of the rows.

use std::{fmt, ops::Range, str::FromStr};

/// The `index`-th of `count` parts, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    count: u64,
}

impl Shard {
    /// All rows.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    /// The indices of this part's rows, of `rows`; the parts concatenate to the whole.
    pub fn range(self, rows: u64) -> Range<u64> {
        // In 128 bits the products cannot overflow, and the quotients are at most `rows`.
        let bound = |index: u64| (u128::from(rows) * u128::from(index) / u128::from(self.count)) as u64;
        bound(self.index - 1)..bound(self.index)
    }
}

/// A text that names no shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected i/n with 1 <= i <= n, for instance 2/4; found {0:?}")]
pub struct InvalidShard(String);

impl FromStr for Shard {
    type Err = InvalidShard;

    fn from_str(text: &str) -> Result<Self, InvalidShard> {
        let parts = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match parts {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Self { index, count }),
            _ => Err(InvalidShard(text.to_owned())),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_in_order_are_the_whole() {
        for (rows, count) in [(10, 3), (3, 10), (u64::MAX, 7), (1, 1)] {
            let mut next = 0;
            for index in 1..=count {
                let range = Shard { index, count }.range(rows);
                assert_eq!(range.start, next);
                next = range.end;
            }
            assert_eq!(next, rows);
        }
    }

    #[test]
    fn only_parts_that_exist_are_accepted() {
        assert_eq!("2/4".parse(), Ok(Shard { index: 2, count: 4 }));
        for text in ["", "1", "0/4", "5/4", "1/0", "a/b", "-1/4", "1/4/2"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
