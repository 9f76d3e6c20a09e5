//! The rows of a data set in the GPU's memory, and batches of them: augmented, scaled, NHWC.

#![allow(unsafe_code, reason = "memory that the GPU copies from, and calls of kernels")]

use crate::{Activations, Element, Error, Gpu, Result, source, staging::Staged};
use cudarc::driver::{CudaEvent, CudaSlice, DeviceRepr, PinnedHostSlice, ValidAsZeroBits};
use dataset::augmentation::{Augmentation, Epoch, PadMode};
use nets::Scaling;
use parallel::parallel_for;
use std::sync::Arc;

/// Bytes that are copied at a time when rows are uploaded: copying them takes ten times as long as starting it does.
const UPLOAD_BYTES: usize = 8 << 20;

/// Rows whose draws are a task: a quarter of a microsecond each.
const TASK_ROWS: usize = 128;

/// The values of a data set's rows, `[rows, shape…]`; images are NCHW.
#[derive(Debug, Clone, Copy)]
pub enum Rows<'a> {
    /// Bytes, which are converted on the GPU.
    Bytes(&'a [u8]),
    /// Real numbers.
    Real(&'a [f32]),
    /// None yet: [`Images::replace`] uploads those of a batch.
    OfBatches,
}

/// The rows of a data set in the GPU's memory.
pub struct Images {
    gpu: Arc<Gpu>,
    values: Values,
    rows: usize,
    /// Channels, height and width; a row of features is an image of one pixel.
    shape: [usize; 3],
    augmentation: Option<Augmentation>,
    /// `[channels]`, each.
    mean: CudaSlice<f32>,
    scale: CudaSlice<f32>,
    fill: CudaSlice<f32>,
    draws: Staged<RowDraw>,
}

enum Values {
    Bytes(CudaSlice<u8>),
    Real(CudaSlice<f32>),
    /// Those of one batch, overwritten by the next.
    Batch(Staged<f32>),
}

/// A row of a batch: which, and how it is augmented. `RowDraw` of images.cu.
#[repr(C, align(16))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowDraw {
    /// The highest bit: flipped, left to right.
    row: u64,
    crop: [u32; 2],
    cut: [u32; 4],
}

// SAFETY: numbers without padding between them.
unsafe impl DeviceRepr for RowDraw {}
// SAFETY: any bits are numbers.
unsafe impl ValidAsZeroBits for RowDraw {}

const MIRRORED: u64 = 1 << 63;

impl RowDraw {
    /// The same, flipped left to right.
    pub fn flipped(self) -> Self {
        Self { row: self.row ^ MIRRORED, ..self }
    }
}

impl Images {
    /// Uploads rows of this shape: `[channels, height, width]`, or features. `scaling` and `augmentation` are as on the CPU;
    /// None for neither.
    ///
    /// # Errors
    /// If the GPU's memory has no room for them.
    ///
    /// # Panics
    /// If they are no whole rows, or the scaling or the augmentation is of another shape.
    pub fn new(
        gpu: &Arc<Gpu>,
        rows: Rows<'_>,
        shape: &[usize],
        scaling: Option<&Scaling>,
        augmentation: Option<Augmentation>,
    ) -> Result<Self> {
        let shape = match *shape {
            [channels, height, width] => [channels, height, width],
            ref features => [features.iter().product(), 1, 1],
        };
        let [channels, height, width] = shape;
        let (values, count) = match rows {
            Rows::Bytes(values) => (Values::Bytes(upload(gpu, values)?), values.len()),
            Rows::Real(values) => (Values::Real(upload(gpu, values)?), values.len()),
            Rows::OfBatches => (Values::Batch(Staged::new(gpu, "inputs")), 0),
        };
        let row = channels * height * width;
        assert!(count.is_multiple_of(row) && row <= u32::MAX as usize, "{count} values for rows of {row}");
        if let Some(augmentation) = &augmentation {
            assert_eq!([augmentation.height, augmentation.width], [height, width], "the augmentation's images");
        }
        // Subtracting 0 and multiplying by 1 leaves every number as it is.
        let (mean, scale) = match scaling {
            Some(scaling) => (scaling.mean.clone(), scaling.scale.clone()),
            None => (vec![0.0; channels], vec![1.0; channels]),
        };
        let fill = augmentation.iter().flat_map(|augmentation| &augmentation.fill).copied();
        let fill: Vec<f32> = fill.chain(std::iter::repeat(0.0)).take(channels).collect();
        assert_eq!([mean.len(), scale.len()], [channels; 2], "the scaling's channels");
        let [mean, scale, fill] = [mean, scale, fill].map(|values| gpu.upload("scaling", &values));
        let draws = Staged::new(gpu, "draws");
        Ok(Self {
            values,
            rows: count / row,
            shape,
            augmentation,
            mean: mean?,
            scale: scale?,
            fill: fill?,
            draws,
            gpu: gpu.clone(),
        })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Overwrites the rows by those of a batch, real numbers, of [`Rows::OfBatches`]. Returns the draws that load all as they
    /// are.
    ///
    /// # Errors
    /// If the GPU's memory has no room for them.
    ///
    /// # Panics
    /// If they are no whole rows, or the rows are others.
    pub fn replace(&mut self, rows: &[f32]) -> Result<Vec<RowDraw>> {
        assert!(rows.len().is_multiple_of(self.row_size()), "{} values for rows of {}", rows.len(), self.row_size());
        let Values::Batch(values) = &mut self.values else { panic!("rows of a data set are not replaced") };
        values.upload(rows)?;
        self.rows = rows.len() / self.row_size();
        Ok(self.draws(&(0..self.rows).collect::<Vec<_>>(), None))
    }

    /// Elements of a row.
    pub fn row_size(&self) -> usize {
        self.shape.iter().product()
    }

    /// The draws of these rows in `epoch`; None for rows as they are.
    pub fn draws(&self, rows: &[usize], epoch: Option<Epoch>) -> Vec<RowDraw> {
        let augmentation = self.augmentation.as_ref();
        let pad = augmentation.map_or(0, |augmentation| augmentation.pad as u32);
        let plain = |&row: &usize| RowDraw { row: row as u64, crop: [pad; 2], cut: [0; 4] };
        let mut draws: Vec<RowDraw> = rows.iter().map(plain).collect();
        let Some((augmentation, epoch)) = augmentation.zip(epoch) else { return draws };
        let draw = |plain: &mut RowDraw| {
            let draw = augmentation.draw(plain.row as usize, epoch);
            let [rows, columns] = draw.cut;
            let cut = [rows.start, rows.end, columns.start, columns.end].map(|x| x as u32);
            let drawn = RowDraw { crop: draw.crop.map(|x| x as u32), cut, ..*plain };
            *plain = if draw.mirrored { drawn.flipped() } else { drawn };
        };
        parallel_for(draws.chunks_mut(TASK_ROWS), |draws| draws.iter_mut().for_each(draw));
        draws
    }

    /// Writes a batch to `out`, NHWC, `[draws, height, width, channels]`, or `[draws, features]`.
    ///
    /// # Errors
    /// If the GPU's memory has no room for the draws, or the driver refuses.
    ///
    /// # Panics
    /// If a draw is of no row, or `out` is too small.
    pub fn load(&mut self, draws: &[RowDraw], out: &mut Activations) -> Result<()> {
        let (rows, count) = (self.rows as u64, draws.len() * self.row_size());
        assert!(draws.iter().all(|draw| draw.row & !MIRRORED < rows), "a draw beyond {rows} rows");
        assert!(out.capacity() >= count, "room for {} elements, of {count}", out.capacity());
        let (from, values) = match &self.values {
            Values::Bytes(values) => ("u8", self.gpu.address(values)),
            Values::Real(values) => ("f32", self.gpu.address(values)),
            Values::Batch(values) => ("f32", values.address()),
        };
        let element: Element = out.element();
        let name = format!("load_images_{from}_{}", element.suffix());
        let [channels, height, width] = self.shape.map(|size| size as u32);
        let (pad, mode) = self.augmentation.as_ref().map_or((0, PadMode::Zero), |one| (one.pad as u32, one.pad_mode));
        let draws_at = self.draws.upload(draws)?;
        let [mean, scale, fill] = [&self.mean, &self.scale, &self.fill].map(|values| self.gpu.address(values));
        let arguments = [
            values.into(),
            draws_at.into(),
            (draws.len() as u64).into(),
            channels.into(),
            height.into(),
            width.into(),
            pad.into(),
            u32::from(mode == PadMode::Reflect).into(),
            mean.into(),
            scale.into(),
            fill.into(),
            self.gpu.address(out.bytes()).into(),
        ];
        // SAFETY: the arguments are those of images.cu. It reads rows that there are, as checked, and writes the `count`
        // elements that `out` has room for.
        unsafe { self.gpu.launch(&name, source::grid(count, 16 / element.size()), &arguments) }
    }
}

/// Copies values to the GPU through two pinned buffers: while one is copied, the other is filled.
fn upload<T: DeviceRepr + ValidAsZeroBits + Copy>(gpu: &Gpu, values: &[T]) -> Result<CudaSlice<T>> {
    let mut device = gpu.alloc_rows(values.len())?;
    let length = (UPLOAD_BYTES / size_of::<T>()).min(values.len().max(1));
    let buffer = || -> Result<(PinnedHostSlice<T>, CudaEvent)> {
        // SAFETY: each element is written before it is read.
        let memory = unsafe { gpu.context().alloc_pinned(length) }?;
        Ok((memory, gpu.stream().record_event(None)?))
    };
    let mut buffers = [buffer()?, buffer()?];
    for (i, values) in values.chunks(length).enumerate() {
        let (memory, copied) = &mut buffers[i % 2];
        copied.synchronize()?;
        memory.as_mut_slice()?[..values.len()].copy_from_slice(values);
        let start = i * length;
        let mut part = device.slice_mut(start..start + values.len());
        gpu.stream().memcpy_htod(&memory.as_slice()?[..values.len()], &mut part)?;
        copied.record(gpu.stream())?;
    }
    // The buffers are freed.
    gpu.stream().synchronize()?;
    Ok(device)
}

impl Gpu {
    /// Room for the rows of a data set.
    fn alloc_rows<T: DeviceRepr + ValidAsZeroBits>(&self, count: usize) -> Result<CudaSlice<T>> {
        let bytes = count * size_of::<T>();
        self.zeros("rows", count).map_err(|error| match error {
            Error::OutOfMemory { .. } => Error::DatasetMemory { bytes },
            error => error,
        })
    }
}
