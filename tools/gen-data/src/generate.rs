//! Rows in chunks, each from a random stream of its own.

use crate::settings::Settings;
use random::Random;
use rayon::prelude::*;
use records::{Batch, DType, Schema};
use std::{ops::Range, sync::Arc};

/// Random numbers drawn from one stream, rounded to whole rows. Part of the format: another value gives other data.
const CHUNK_ELEMENTS: u64 = 1 << 16;
/// Chunks drawn at a time for each thread, so that memory stays constant.
const CHUNKS_PER_THREAD: u64 = 2;

/// Draws the rows of `range` in order, in parallel, and passes them on in batches.
pub fn each_batch(
    settings: &Settings,
    range: Range<u64>,
    mut each: impl FnMut(Batch) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let schema = Arc::new(Schema::new(settings.fields.clone()).map_err(|e| anyhow::anyhow!("data: {e}"))?);
    let chunk_rows = (CHUNK_ELEMENTS / settings.distribution.width() as u64).max(1);
    let chunks = range.start / chunk_rows..range.end.div_ceil(chunk_rows);
    let at_a_time = CHUNKS_PER_THREAD * rayon::current_num_threads() as u64;
    let mut next = chunks.start;
    while next < chunks.end {
        let group = next..chunks.end.min(next + at_a_time);
        let drawn: Vec<_> = group
            .clone()
            .into_par_iter()
            .map(|chunk| {
                let rows = chunk * chunk_rows..range.end.min((chunk + 1).saturating_mul(chunk_rows));
                draw_chunk(settings, chunk, rows, range.start)
            })
            .collect();
        for (chunk, packed) in group.clone().zip(drawn) {
            let first_row = range.start.max(chunk * chunk_rows);
            each(Batch::from_packed("generated data", &schema, first_row, packed)?)?;
        }
        next = group.end;
    }
    Ok(())
}

/// The packed rows of a chunk from row `from` on; rows before it are drawn and dropped.
fn draw_chunk(settings: &Settings, chunk: u64, rows: Range<u64>, from: u64) -> Vec<u8> {
    let mut random = Random::new(settings.seed, chunk);
    let mut row = vec![0.0; settings.distribution.width()];
    let mut packed = Vec::with_capacity((rows.end - rows.start) as usize * row.len() * settings.dtype.size());
    for index in rows {
        settings.distribution.draw(&mut random, &mut row);
        if index >= from {
            pack(&row, settings.dtype, &mut packed);
        }
    }
    packed
}

fn pack(row: &[f64], dtype: DType, packed: &mut Vec<u8>) {
    match dtype {
        DType::F8 => packed.extend_from_slice(bytemuck::cast_slice(row)),
        _ => row.iter().for_each(|&value| packed.extend_from_slice(&(value as f32).to_le_bytes())),
    }
}
