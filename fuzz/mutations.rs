//! Changes of the corpus that a test can repeat.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use std::{fs, path::Path};

/// The inputs of a target, in order.
pub fn corpus(target: &str) -> Vec<String> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("fuzz/corpus").join(target));
    let folder = folder.into_iter().find(|folder| folder.is_dir()).expect("the corpus is in the repository");
    let entries = fs::read_dir(&folder).expect("a folder");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{}", folder.display());
    paths.iter().map(|path| fs::read_to_string(path).expect("text")).collect()
}

/// Runs `check` on each input and on `count` changes of it, with `pieces` that mean something to the parser.
pub fn run(corpus: &[String], pieces: &[&str], count: usize, mut check: impl FnMut(&str)) {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    for text in corpus {
        check(text);
        for _ in 0..count {
            let other = &corpus[random.next_u64() as usize % corpus.len()];
            check(&mutated(&mut random, text, other, pieces));
        }
    }
}

/// `text` with a few changes: pieces put in, parts taken out, repeated, or taken from `other`.
fn mutated(random: &mut ChaCha8Rng, text: &str, other: &str, pieces: &[&str]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let other: Vec<char> = other.chars().collect();
    for _ in 0..1 + random.next_u32() % 4 {
        let mut below = |n: usize| random.next_u64() as usize % n.max(1);
        let from = below(chars.len() + 1);
        let to = (from + below(24)).min(chars.len());
        match below(6) {
            0 => drop(chars.splice(from..from, pieces[below(pieces.len())].chars())),
            1 => drop(chars.splice(from..to, pieces[below(pieces.len())].chars())),
            2 => drop(chars.drain(from..to)),
            3 => chars.truncate(from),
            4 => {
                let part = chars[from..to].repeat(1 + below(3));
                chars.splice(from..from, part);
            }
            _ => {
                let at = below(other.len() + 1);
                let end = (at + below(60)).min(other.len());
                chars.splice(from..to, other[at..end].iter().copied());
            }
        }
    }
    chars.into_iter().collect()
}
