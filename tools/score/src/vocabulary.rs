//! The classes that texts are.

use std::collections::HashMap;

/// Classes that a message lists at most.
const LISTED: usize = 5;

/// The names of classes, given ahead or as they occur.
pub struct Vocabulary {
    given: bool,
    names: Vec<String>,
    index: HashMap<String, usize>,
}

impl Vocabulary {
    /// Of the `names` that are given, label 0 on; otherwise of those that will occur.
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

    /// All names so far, if there are some.
    pub fn names(&self) -> Option<&[String]> {
        (self.given || !self.names.is_empty()).then_some(&self.names)
    }

    /// The index of a text.
    ///
    /// # Errors
    /// When it is none of the names that were given, or one more than `most`.
    pub fn index(&mut self, text: &str, most: usize) -> Result<usize, String> {
        if let Some(&index) = self.index.get(text) {
            return Ok(index);
        }
        if self.given {
            let listed = self.names.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if self.names.len() > LISTED { ", ..." } else { "" };
            return Err(format!("class {text:?} is none of {listed}{more}"));
        }
        if self.names.len() >= most {
            return Err(format!("class {text:?} is one more than score.max_classes, {most}"));
        }
        self.index.insert(text.to_owned(), self.names.len());
        self.names.push(text.to_owned());
        Ok(self.names.len() - 1)
    }

    /// The names, and the place of each in that order where it is another than theirs: names that occurred are sorted.
    pub fn sorted(self) -> (Option<Vec<String>>, Option<Vec<usize>>) {
        match (self.given, self.names.is_empty()) {
            (true, _) => (Some(self.names), None),
            (false, true) => (None, None),
            (false, false) => {
                let mut sorted = self.names.clone();
                sorted.sort_unstable();
                let place: HashMap<&String, usize> = sorted.iter().enumerate().map(|(i, name)| (name, i)).collect();
                let order = self.names.iter().map(|name| place[name]).collect();
                (Some(sorted), Some(order))
            }
        }
    }
}
