//! Activations in blocks of rows.

use super::{TASK_FLOPS, run};
use crate::gemm::tile::PANEL;

/// Rows of a block, and features of a tile of it.
pub(super) const BLOCK: usize = PANEL;

/// A feature of the rows of a block, or features of a row.
pub(super) type Lanes = [f32; BLOCK];

/// Activations of a batch, or their gradients, in tiles of 64 rows by 64 features. Elements beyond the rows and features have
/// any values.
#[derive(Debug, Clone, Default)]
pub struct Blocked {
    rows: usize,
    features: usize,
    /// `[row blocks, tiles, 64 features, 64 rows]`
    by_feature: Vec<Lanes>,
    /// `[row blocks, tiles, 64 rows, 64 features]`: the same, transposed within each tile.
    by_row: Vec<Lanes>,
    /// Whether `by_row` is up to date.
    has_rows: bool,
}

/// A tile that a task writes.
pub(super) struct Tile<'a> {
    pub block: usize,
    /// Its first feature.
    pub first: usize,
    /// Rows of the block.
    pub rows: usize,
    /// The features from `first`.
    pub by_feature: &'a mut [Lanes],
    /// The rows.
    pub by_row: &'a mut [Lanes],
}

impl Blocked {
    /// Rows of the batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Elements of a row.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Overwrites all with `values`, `[rows, features]`.
    pub fn pack(&mut self, values: &[f32], rows: usize, features: usize) {
        assert_eq!(values.len(), rows * features, "{rows} rows of {features} features");
        self.resize(rows, features, true);
        for_each_tile(self, PACK_FLOPS, |tile| {
            let width = tile.by_feature.len();
            let rows = values.chunks_exact(features).skip(tile.block * BLOCK);
            for (lanes, row) in tile.by_row.iter_mut().zip(rows) {
                lanes[..width].copy_from_slice(&row[tile.first..][..width]);
            }
            transpose(tile.by_row, tile.by_feature, width);
        });
    }

    /// Overwrites `values` with all, `[rows, features]`.
    ///
    /// # Panics
    /// If `values` has another length.
    pub fn unpack(&self, values: &mut [f32]) {
        let features = self.features.max(1);
        assert_eq!(values.len(), self.rows * self.features, "{} rows of {features} features", self.rows);
        let mut transposed = [[0.0; BLOCK]; BLOCK];
        for (block, values) in values.chunks_mut(BLOCK * features).enumerate() {
            for first in (0..features).step_by(BLOCK) {
                let width = BLOCK.min(features - first);
                let rows = if self.has_rows {
                    self.rows_of_tile(block, first)
                } else {
                    let rows = self.block_rows(block);
                    transpose(&self.block(block)[first..][..width], &mut transposed, rows);
                    &transposed[..rows]
                };
                for (values, row) in values.chunks_exact_mut(features).zip(rows) {
                    values[first..][..width].copy_from_slice(&row[..width]);
                }
            }
        }
    }

    /// Changes the sizes; whoever calls it overwrites all elements, and those by row too with `has_rows`.
    pub(super) fn resize(&mut self, rows: usize, features: usize, has_rows: bool) {
        (self.rows, self.features, self.has_rows) = (rows, features, has_rows);
        let len = self.blocks() * self.tiles() * BLOCK;
        self.by_feature.resize(len, [0.0; BLOCK]);
        self.by_row.resize(len, [0.0; BLOCK]);
    }

    pub(super) fn blocks(&self) -> usize {
        self.rows.div_ceil(BLOCK)
    }

    pub(super) fn block_rows(&self, block: usize) -> usize {
        BLOCK.min(self.rows - block * BLOCK)
    }

    /// The features of a block's rows.
    pub(super) fn block(&self, block: usize) -> &[Lanes] {
        &self.by_feature[block * self.tiles() * BLOCK..][..self.features]
    }

    /// A block's rows, the features from `first`, a multiple of [`BLOCK`].
    pub(super) fn rows_of_tile(&self, block: usize, first: usize) -> &[Lanes] {
        assert!(self.has_rows, "gradients of inputs are kept by feature only");
        &self.by_row[(block * self.tiles() * BLOCK) + first..][..self.block_rows(block)]
    }

    /// Tiles of a block.
    fn tiles(&self) -> usize {
        self.features.div_ceil(BLOCK)
    }
}

/// What an element costs to rearrange, as terms of a product that take as long.
const PACK_FLOPS: usize = 128;

/// Calls `body` with each tile, in tasks of several that each have enough work: an element of a tile is a product of
/// `depth` terms.
pub(super) fn for_each_tile(blocked: &mut Blocked, depth: usize, body: impl Fn(Tile<'_>) + Sync) {
    let (features, tiles, total_rows) = (blocked.features, blocked.tiles(), blocked.rows);
    let flops = 2 * BLOCK.min(total_rows) * BLOCK.min(features) * depth;
    let count = (TASK_FLOPS / flops.max(1)).max(1);
    let tasks = blocked.by_feature.chunks_mut(count * BLOCK).zip(blocked.by_row.chunks_mut(count * BLOCK)).enumerate();
    run(tasks, |(task, (by_feature, by_row))| {
        let both = by_feature.chunks_exact_mut(BLOCK).zip(by_row.chunks_exact_mut(BLOCK)).enumerate();
        for (i, (by_feature, by_row)) in both {
            let (block, first) = ((task * count + i) / tiles, (task * count + i) % tiles * BLOCK);
            let rows = BLOCK.min(total_rows - block * BLOCK);
            let by_feature = &mut by_feature[..BLOCK.min(features - first)];
            body(Tile { block, first, rows, by_feature, by_row: &mut by_row[..rows] });
        }
    });
}

/// `to[j][i] = from[i][j]` for j below `count`.
pub(super) fn transpose(from: &[Lanes], to: &mut [Lanes], count: usize) {
    const STEP: usize = 8;
    let mut start = 0;
    for from in from.chunks(STEP) {
        if let Some(from) = from.first_chunk::<STEP>() {
            for (j, to) in to[..count].iter_mut().enumerate() {
                to[start..start + STEP].copy_from_slice(&std::array::from_fn::<f32, STEP, _>(|i| from[i][j]));
            }
        } else {
            for (j, to) in to[..count].iter_mut().enumerate() {
                to[start..].iter_mut().zip(from).for_each(|(to, from)| *to = from[j]);
            }
        }
        start += STEP;
    }
}
