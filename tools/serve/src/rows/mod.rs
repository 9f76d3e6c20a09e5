//! Rows of records through a model: what `infer` does, for HTTP.
//!
//! A stream has two threads. One reads rows and encodes them, the other runs the model, adds the output fields and writes;
//! a few batches lie between them. Neither end is read or written ahead of the other by more than that: memory is constant
//! in the number of rows.

mod body;
mod input;
mod run;
mod stream;

pub use input::encoder;
pub use run::{Blocks, predict, slice};
pub use stream::{Options, Permit, Started, start};
