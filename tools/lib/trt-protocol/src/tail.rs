//! The last lines that a process wrote to standard error.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    sync::{Arc, Mutex, PoisonError},
};

/// Lines that are kept.
const LINES: usize = 8;
/// Characters of a line that are kept.
const LINE: usize = 200;

/// The last lines; a clone shares them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Reads lines until `input` ends, and gives each to `on_line`.
    pub(crate) fn follow(&self, input: impl Read, mut on_line: impl FnMut(&str)) {
        let mut input = BufReader::new(input);
        while let Ok(Some(line)) = read_line(&mut input) {
            on_line(&line);
            let short = line.trim().chars().take(LINE).collect::<String>();
            if short.is_empty() {
                continue;
            }
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push_back(short);
            if lines.len() > LINES {
                lines.pop_front();
            }
        }
    }
}

/// The next line without its end; None at the end. Of a line without end, pieces.
fn read_line(input: &mut impl BufRead) -> std::io::Result<Option<String>> {
    const PIECE: u64 = 1 << 16;
    let mut bytes = Vec::new();
    if input.take(PIECE).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_all_are_told() {
        let (tail, mut told) = (Tail::default(), Vec::new());
        let text = (0..20).map(|i| format!("line {i}\n\n")).collect::<String>() + &"x".repeat(1 << 20);
        tail.follow(text.as_bytes(), |line| told.push(line.to_owned()));
        let lines = tail.lines();
        assert_eq!((lines.len(), lines.last().map(String::len)), (LINES, Some(LINE)));
        assert_eq!(told[..3], ["line 0", "", "line 1"]);
    }
}
