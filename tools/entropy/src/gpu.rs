//! The entropies on a GPU.

use crate::{refusal, settings::Settings};
use cli::{Ahead, Streams};
use cuda::{Gpu, Kernel, Number, Pipeline};
use kernels::EntropyOptions;
use records::{Batch, DType, Element};

/// Filters as the CPU does, with the same bytes.
pub(crate) fn filter(gpu: &Gpu, streams: Streams, settings: &Settings, options: &EntropyOptions) -> anyhow::Result<()> {
    let mut filter = Entropies { gpu, settings, options, f32: None, f64: None };
    streams.filter_ahead(&[&settings.field], &[&settings.out_field], cuda::BATCH_BYTES, &mut filter)
}

struct Entropies<'a> {
    gpu: &'a Gpu,
    settings: &'a Settings,
    options: &'a EntropyOptions,
    /// Of a field of f4.
    f32: Option<Pipeline<f32>>,
    /// Of a field of another type.
    f64: Option<Pipeline<f64>>,
}

impl Ahead for Entropies<'_> {
    fn start(&mut self, batch: &Batch) -> anyhow::Result<()> {
        let Self { gpu, settings, options, .. } = *self;
        let (name, width, is_f32) = (&settings.field, settings.width(batch)?, self.is_f32(batch)?);
        let kernel = Kernel::Entropy { width, options: *options };
        let inputs = batch.rows() * width;
        if is_f32 {
            pipeline(&mut self.f32, gpu, kernel)?.start(inputs, |probs| Ok(batch.copy_column(name, probs)?))
        } else if batch.field(name)?.dtype == DType::F8 {
            pipeline(&mut self.f64, gpu, kernel)?.start(inputs, |probs| Ok(batch.copy_column(name, probs)?))
        } else {
            let mut converted = Vec::new(); // [rows, width]
            batch.column_f64(name, &mut converted)?;
            pipeline(&mut self.f64, gpu, kernel)?.start(inputs, |probs| {
                probs.copy_from_slice(&converted);
                Ok(())
            })
        }
    }

    fn finish(&mut self, batch: &mut Batch) -> anyhow::Result<()> {
        match (self.is_f32(batch)?, &mut self.f32, &mut self.f64) {
            (true, Some(pipeline), _) => set(batch, pipeline, self.settings, self.options),
            (false, _, Some(pipeline)) => set(batch, pipeline, self.settings, self.options),
            _ => Ok(()),
        }
    }
}

impl Entropies<'_> {
    fn is_f32(&self, batch: &Batch) -> anyhow::Result<bool> {
        Ok(batch.field(&self.settings.field)?.dtype == DType::F4)
    }
}

/// The pipeline, which the first batch creates: all batches have one schema.
fn pipeline<'p, T: Number>(
    pipeline: &'p mut Option<Pipeline<T>>,
    gpu: &Gpu,
    kernel: Kernel,
) -> anyhow::Result<&'p mut Pipeline<T>> {
    let created = match pipeline.take() {
        Some(created) => created,
        None => Pipeline::new(gpu, kernel)?,
    };
    Ok(pipeline.insert(created))
}

fn set<T: Number + Element>(
    batch: &mut Batch,
    pipeline: &mut Pipeline<T>,
    settings: &Settings,
    options: &EntropyOptions,
) -> anyhow::Result<()> {
    let width = settings.width(batch)?;
    let rows = pipeline.finish()?;
    if let Some(error) = rows.refused {
        return Err(refusal(batch, rows.input, width, settings, options, &error));
    }
    Ok(batch.set_column(&settings.out_field, &[], rows.output)?)
}
