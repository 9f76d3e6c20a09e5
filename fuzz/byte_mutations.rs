// A corpus and seeded mutations of it, for the tests that run fuzz targets with a bound, on any compiler.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use std::{env, fs, path::Path};

/// Mutations of each input of the corpus; `FUZZ_MUTATIONS` says another number, and `FUZZ_SEED` a seed.
const MUTATIONS: u64 = 150;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{}", folder.display());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// `bytes` with a few changes: pieces put in, parts taken out, repeated or taken from `other`, bytes changed.
fn mutated(random: &mut ChaCha8Rng, pieces: &[&[u8]], bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + random.next_u32() % 4 {
        let mut below = |n: usize| random.next_u64() as usize % (n + 1);
        let (from, to) = (below(bytes.len()), below(bytes.len()));
        let (from, to) = (from.min(to), from.max(to).min(from.min(to) + 12));
        match below(5) {
            0 => drop(bytes.splice(from..from, pieces[below(pieces.len() - 1)].iter().copied())),
            1 => drop(bytes.drain(from..to)),
            2 => {
                let part = bytes[from..to].repeat(1 + below(3));
                bytes.splice(from..from, part);
            }
            3 => {
                let at = below(other.len());
                bytes.splice(from..to, other[at..].iter().take(20).copied());
            }
            4 => bytes.truncate(from),
            _ if from < bytes.len() => bytes[from] = below(255) as u8,
            _ => {}
        }
    }
    bytes
}

/// Runs a target on its corpus and on mutations of it.
pub fn run(target: &str, pieces: &[&[u8]], check: impl Fn(&[u8])) {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let corpus = corpus(target);
    let mut random = ChaCha8Rng::seed_from_u64(number("FUZZ_SEED").unwrap_or(0));
    for bytes in &corpus {
        check(bytes);
        for _ in 0..number("FUZZ_MUTATIONS").unwrap_or(MUTATIONS) {
            let other = &corpus[random.next_u64() as usize % corpus.len()];
            let input = mutated(&mut random, pieces, bytes, other);
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&input)));
            assert!(panicked.is_ok(), "{target}: a panic at the input {:?}", input.escape_ascii().to_string());
        }
    }
}
