//! Cells of characters, each of 2×4 dots.

/// Dots in a braille character, and in a cell.
pub const DOTS_ACROSS: usize = 2;
pub const DOTS_DOWN: usize = 4;

/// The character without dots; each bit above it is a dot.
const BRAILLE: u32 = 0x2800;
/// The bit of a dot, by row and column (Unicode numbers the lowest row last).
const BITS: [[u8; DOTS_ACROSS]; DOTS_DOWN] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
/// Characters for curves where colors do not distinguish them.
const MARKERS: [char; 8] = ['*', 'o', '+', 'x', '#', '@', '%', '&'];

/// The marker of a style, by its index: signs, then letters.
pub fn marker(index: usize) -> char {
    MARKERS.into_iter().chain('A'..='Z').cycle().nth(index).unwrap_or(MARKERS[0])
}

/// A grid of cells, each with dots of the curve that was drawn there last.
pub struct Canvas {
    columns: usize,
    rows: usize,
    cells: Vec<Cell>,
}

#[derive(Clone, Copy, Default)]
pub struct Cell {
    dots: u8,
    /// The curve's index.
    pub owner: usize,
    /// Whether it is highlighted.
    pub marked: bool,
}

impl Cell {
    pub fn is_empty(self) -> bool {
        self.dots == 0
    }

    pub fn braille(self) -> char {
        char::from_u32(BRAILLE + u32::from(self.dots)).unwrap_or(' ')
    }
}

impl Canvas {
    pub fn new(columns: usize, rows: usize) -> Self {
        Self { columns, rows, cells: vec![Cell::default(); columns * rows] }
    }

    /// The coordinates of the lower right dot.
    pub fn last_dot(&self) -> (f64, f64) {
        ((self.columns * DOTS_ACROSS - 1) as f64, (self.rows * DOTS_DOWN - 1) as f64)
    }

    pub fn row(&self, row: usize) -> &[Cell] {
        &self.cells[row * self.columns..(row + 1) * self.columns]
    }

    /// Sets the dots of a straight line, coordinates in dots from the upper left; `dashed` leaves out every other pair of
    /// dots across.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), owner: usize, dashed: bool) {
        let (across, down) = (to.0 - from.0, to.1 - from.1);
        let steps = across.abs().max(down.abs()).ceil().max(1.0) as usize;
        for step in 0..=steps {
            let share = step as f64 / steps as f64;
            let (x, y) = (from.0 + across * share, from.1 + down * share);
            if !dashed || (x.round() as usize / (2 * DOTS_ACROSS)).is_multiple_of(2) {
                self.dot((x, y), owner);
            }
        }
    }

    /// Highlights the cell of a dot.
    pub fn mark(&mut self, (x, y): (f64, f64), owner: usize) {
        self.dot((x, y), owner);
        let (column, row) = (x.round() as usize / DOTS_ACROSS, y.round() as usize / DOTS_DOWN);
        if column < self.columns && row < self.rows {
            self.cells[row * self.columns + column].marked = true;
        }
    }

    fn dot(&mut self, (x, y): (f64, f64), owner: usize) {
        let (x, y) = (x.round() as usize, y.round() as usize);
        let (column, row) = (x / DOTS_ACROSS, y / DOTS_DOWN);
        if column < self.columns && row < self.rows {
            let cell = &mut self.cells[row * self.columns + column];
            // A character has one color.
            let others = if cell.owner == owner { cell.dots } else { 0 };
            *cell = Cell { dots: others | BITS[y % DOTS_DOWN][x % DOTS_ACROSS], owner, marked: cell.marked };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(canvas: &Canvas) -> String {
        canvas.row(0).iter().map(|cell| cell.braille()).collect()
    }

    #[test]
    fn dots_are_where_unicode_has_them() {
        let mut canvas = Canvas::new(2, 1);
        canvas.line((0.0, 0.0), (3.0, 3.0), 0, false);
        assert_eq!(text(&canvas), "⠑⢄");
        canvas.line((0.0, 0.0), (0.0, 3.0), 1, false);
        assert_eq!((text(&canvas), canvas.row(0)[0].owner), ("⡇⢄".into(), 1));
    }

    #[test]
    fn dashes_leave_every_other_cell_pair_free_and_nothing_is_drawn_outside() {
        let mut canvas = Canvas::new(4, 1);
        canvas.line((0.0, 0.0), (7.0, 0.0), 0, true);
        assert_eq!(text(&canvas), "⠉⠉⠀⠀");
        canvas.line((100.0, 100.0), (1e6, -5.0), 0, false);
    }
}
