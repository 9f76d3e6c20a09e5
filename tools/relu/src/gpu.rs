//! ReLU on a GPU.

use crate::{Settings, set};
use cli::{Ahead, Streams};
use cuda::{Gpu, Kernel, Number, Pipeline};
use records::{Batch, DType, Element};

/// Filters as the CPU does, with the same bytes.
pub(crate) fn filter(gpu: &Gpu, streams: Streams, settings: &Settings, adds: &[&str]) -> anyhow::Result<()> {
    let kernel = Kernel::Relu { slope: settings.slope };
    let mut filter = Relu { settings, f32: Pipeline::new(gpu, kernel)?, f64: Pipeline::new(gpu, kernel)? };
    streams.filter_ahead(&[&settings.field], adds, cuda::BATCH_BYTES, &mut filter)
}

struct Relu<'a> {
    settings: &'a Settings,
    /// Of a field of f4.
    f32: Pipeline<f32>,
    /// Of a field of another type.
    f64: Pipeline<f64>,
}

impl Ahead for Relu<'_> {
    fn start(&mut self, batch: &Batch) -> anyhow::Result<()> {
        let name = &self.settings.field;
        let field = batch.field(name)?;
        let inputs = batch.rows() * field.elements();
        match field.dtype {
            DType::F4 => self.f32.start(inputs, |values| Ok(batch.copy_column(name, values)?)),
            DType::F8 => self.f64.start(inputs, |values| Ok(batch.copy_column(name, values)?)),
            _ => {
                let mut converted = Vec::new();
                batch.column_f64(name, &mut converted)?;
                self.f64.start(inputs, |values| {
                    values.copy_from_slice(&converted);
                    Ok(())
                })
            }
        }
    }

    fn finish(&mut self, batch: &mut Batch) -> anyhow::Result<()> {
        match batch.field(&self.settings.field)?.dtype {
            DType::F4 => finish(batch, &mut self.f32, self.settings),
            _ => finish(batch, &mut self.f64, self.settings),
        }
    }
}

fn finish<T: Number + Element>(
    batch: &mut Batch,
    pipeline: &mut Pipeline<T>,
    settings: &Settings,
) -> anyhow::Result<()> {
    let rows = pipeline.finish()?;
    set(batch, rows.output, settings)
}
