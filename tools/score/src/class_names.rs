//! From the name of a class to its index.

use crate::row_error::RowError;
use std::collections::HashMap;

/// Names that a message lists at most.
const MAX_LISTED: usize = 5;

/// The names of classes: given by `--classes`, or collected as they occur.
pub struct ClassNames {
    given: bool,
    /// In the order of the indices.
    names: Vec<String>,
    index: HashMap<String, usize>,
}

impl ClassNames {
    /// Of the `names` that are given, index 0 on; `None` collects those that occur.
    pub fn new(names: Option<Vec<String>>) -> Self {
        let given = names.is_some();
        let names = names.unwrap_or_default();
        let index = names.iter().enumerate().map(|(i, name)| (name.clone(), i)).collect();
        Self { given, names, index }
    }

    /// The names, if they were given.
    pub fn given(&self) -> Option<&[String]> {
        self.given.then_some(&self.names)
    }

    /// The names so far; `None` where classes have no names.
    pub fn names(&self) -> Option<&[String]> {
        (self.given || !self.names.is_empty()).then_some(&self.names)
    }

    /// The index of a class. A new name is added, up to `max_classes`, unless names were given.
    pub fn index(&mut self, class: &str, max_classes: usize) -> Result<usize, RowError> {
        if let Some(&index) = self.index.get(class) {
            return Ok(index);
        }
        let class = class.to_owned();
        if self.given {
            let listed = self.names.iter().take(MAX_LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if self.names.len() > MAX_LISTED { ", ..." } else { "" };
            return Err(RowError::UnknownClass { class, known: listed + more });
        }
        if self.names.len() >= max_classes {
            return Err(RowError::TooManyClasses { class, max: max_classes });
        }
        self.index.insert(class.clone(), self.names.len());
        self.names.push(class);
        Ok(self.names.len() - 1)
    }

    /// The names as they are written. Names that were collected are sorted; then the second value has the new index of
    /// each class, by its old one.
    pub fn sorted(self) -> (Option<Vec<String>>, Option<Vec<usize>>) {
        match (self.given, self.names.is_empty()) {
            (true, _) => (Some(self.names), None),
            (false, true) => (None, None),
            (false, false) => {
                let mut sorted = self.names.clone();
                sorted.sort_unstable();
                let index: HashMap<&String, usize> = sorted.iter().enumerate().map(|(i, name)| (name, i)).collect();
                let order = self.names.iter().map(|name| index[name]).collect();
                (Some(sorted), Some(order))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_occur_are_sorted_and_bounded() {
        let mut names = ClassNames::new(None);
        assert_eq!((names.names(), names.given()), (None, None));
        let indices = ["b", "c", "a", "b"].map(|class| names.index(class, 3).expect("three classes"));
        assert_eq!(indices, [0, 1, 2, 0]);
        assert!(matches!(names.index("d", 3), Err(RowError::TooManyClasses { max: 3, .. })));
        assert_eq!(names.names().map(<[String]>::len), Some(3));
        assert_eq!(names.sorted(), (Some(["a", "b", "c"].map(str::to_owned).to_vec()), Some(vec![1, 2, 0])));
    }

    #[test]
    fn names_that_are_given_keep_their_order_and_take_no_other() {
        let given: Vec<String> = ["f", "e", "d", "c", "b", "a"].map(str::to_owned).to_vec();
        let mut names = ClassNames::new(Some(given.clone()));
        assert_eq!(names.index("e", 0).expect("a name"), 1);
        let error = names.index("x", 9).expect_err("no name").to_string();
        assert_eq!(error, "class \"x\" is none of f, e, d, c, b, ...");
        assert_eq!(names.sorted(), (Some(given), None));
        assert_eq!(ClassNames::new(None).sorted(), (None, None));
    }
}
