//! Windows that slide over one to three spatial axes, as convolutions and pools have them.

use super::Call;
use onnx::Problem;

/// Most spatial axes. Windows of fewer have leading ones of size 1.
pub(super) const SPATIAL: usize = 3;

/// How a kernel slides over an input, along each spatial axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Window {
    /// Spatial axes of the input: 1 to [`SPATIAL`].
    rank: usize,
    pub input: [usize; SPATIAL],
    pub output: [usize; SPATIAL],
    pub kernel: [usize; SPATIAL],
    stride: [usize; SPATIAL],
    dilation: [usize; SPATIAL],
    /// Padding before the first element, and after the last.
    pads: [[usize; SPATIAL]; 2],
}

impl Window {
    /// The window of a node, by its attributes `strides`, `dilations`, `pads`, `auto_pad` and `ceil_mode`, over an input of
    /// shape `[N, C, spatial…]`.
    pub fn new(call: &Call<'_>, input: &[usize], kernel: &[usize]) -> Result<Self, Problem> {
        let mut window = Self::attributes(call, input, kernel)?;
        let same = call.node.string("auto_pad")?.filter(|auto_pad| auto_pad.starts_with("SAME"));
        let ceil = call.flag("ceil_mode", false)?;
        for axis in 0..SPATIAL {
            window.output[axis] = match same {
                Some(mode) => window.pad_same(axis, mode == "SAME_LOWER"),
                None => window.output_size(axis, ceil),
            }
            .ok_or_else(|| call.problem(format!("a kernel of {kernel:?} does not fit an input of {input:?}")))?;
        }
        Ok(window)
    }

    /// As [`Window::new`], without the output's sizes, and with no padding where `auto_pad` is set.
    pub fn attributes(call: &Call<'_>, input: &[usize], kernel: &[usize]) -> Result<Self, Problem> {
        let rank = input.len().checked_sub(2).filter(|rank| (1..=SPATIAL).contains(rank));
        let rank = rank
            .ok_or_else(|| call.problem(format!("an input of shape {input:?}, expected one to three spatial axes")))?;
        if kernel.len() != rank || kernel.contains(&0) {
            return Err(call.problem(format!("a kernel of {kernel:?} for {rank} spatial axes")));
        }
        let stride = positive(call, "strides", rank)?;
        let dilation = positive(call, "dilations", rank)?;
        let pads = match call.node.string("auto_pad")? {
            None | Some("NOTSET") => pads(call, rank)?,
            _ => [[0; SPATIAL]; 2],
        };
        Ok(Self {
            rank,
            input: three(&input[2..], 1),
            output: [0; SPATIAL],
            kernel: three(kernel, 1),
            stride,
            dilation,
            pads,
        })
    }

    /// Elements that a kernel spans along an axis; None if it does not fit memory.
    pub fn extent(&self, axis: usize) -> Option<usize> {
        (self.kernel[axis] - 1).checked_mul(self.dilation[axis])?.checked_add(1)
    }

    /// Windows along an axis; None if there is none, or sizes do not fit.
    fn output_size(&self, axis: usize, ceil: bool) -> Option<usize> {
        let [before, after] = self.pads.map(|pads| pads[axis]);
        let padded = self.input[axis].checked_add(before)?.checked_add(after)?;
        let (room, stride) = (padded.checked_sub(self.extent(axis)?)?, self.stride[axis]);
        let last = if ceil { room.div_ceil(stride) } else { room / stride };
        // A window that would begin beyond the input and its padding before is none.
        let begins_within = last.checked_mul(stride)? < self.input[axis] + before;
        last.checked_add(usize::from(begins_within || !ceil))
    }

    /// Pads such that there is a window for each stride; returns their number.
    fn pad_same(&mut self, axis: usize, lower: bool) -> Option<usize> {
        let output = self.input[axis].div_ceil(self.stride[axis]);
        let needed = output.saturating_sub(1).checked_mul(self.stride[axis])?.checked_add(self.extent(axis)?)?;
        let total = needed.saturating_sub(self.input[axis]);
        let (less, more) = (total / 2, total.div_ceil(2));
        [self.pads[0][axis], self.pads[1][axis]] = if lower { [more, less] } else { [less, more] };
        Some(output)
    }

    /// The window of a transposed convolution: its input is the window's output, and its output the window's input.
    pub fn transposed(call: &Call<'_>, input: &[usize], kernel: &[usize]) -> Result<Self, Problem> {
        let mut window = Self::attributes(call, input, kernel)?;
        std::mem::swap(&mut window.input, &mut window.output);
        let extra = sizes(call, "output_padding", window.rank, 0)?;
        let wanted =
            call.node.attribute("output_shape").map(|_| sizes(call, "output_shape", window.rank, 1)).transpose()?;
        let mode = call.node.string("auto_pad")?.unwrap_or("NOTSET");
        for axis in 0..SPATIAL {
            let sized = window.transposed_axis(axis, extra[axis], wanted.map(|wanted| wanted[axis]), mode);
            sized.ok_or_else(|| call.problem(format!("a kernel of {kernel:?} does not fit an input of {input:?}")))?;
        }
        Ok(window)
    }

    /// Size and pads of an axis of a transposed convolution's output; None if they do not fit.
    fn transposed_axis(&mut self, axis: usize, extra: usize, wanted: Option<usize>, mode: &str) -> Option<()> {
        let (input, stride) = (self.output[axis], self.stride[axis]);
        let full = stride.checked_mul(input.checked_sub(1)?)?.checked_add(self.extent(axis)?)?.checked_add(extra)?;
        let wanted = if mode.starts_with("SAME") { wanted.or(input.checked_mul(stride)) } else { wanted };
        if let Some(wanted) = wanted {
            let total = full.saturating_sub(wanted);
            let (less, more) = (total / 2, total.div_ceil(2));
            [self.pads[0][axis], self.pads[1][axis]] = if mode == "SAME_LOWER" { [more, less] } else { [less, more] };
        }
        let pads = self.pads[0][axis].checked_add(self.pads[1][axis])?;
        self.input[axis] = wanted.or(full.checked_sub(pads))?;
        Some(())
    }

    /// The input's shape, for `[N, C]` of `outer`.
    pub fn input_shape(&self, outer: [usize; 2]) -> Vec<usize> {
        [&outer[..], &self.input[SPATIAL - self.rank..]].concat()
    }

    /// Elements of the spatial axes of the input.
    pub fn input_len(&self) -> usize {
        self.input.iter().product()
    }

    /// Elements of the spatial axes of the output.
    pub fn output_len(&self) -> usize {
        self.output.iter().product()
    }

    /// Elements of the kernel.
    pub fn kernel_len(&self) -> usize {
        self.kernel.iter().product()
    }

    /// The output's shape, for `[N, C]` of `outer`.
    pub fn output_shape(&self, outer: [usize; 2]) -> Vec<usize> {
        [&outer[..], &self.output[SPATIAL - self.rank..]].concat()
    }

    /// Indices of the output along each axis, of an element.
    fn position(&self, output: usize) -> [usize; SPATIAL] {
        let [_, height, width] = self.output;
        [output / (height * width), output / width % height, output % width]
    }

    /// Elements of the kernel that lie before `end`, an index of the padded input, for an index of the output.
    fn taps_before(&self, axis: usize, output: usize, end: usize) -> usize {
        let room = end.saturating_sub(output * self.stride[axis]);
        room.div_ceil(self.dilation[axis]).min(self.kernel[axis])
    }

    /// Elements of the kernel that lie on the input, and the indices there, along an axis.
    fn along(&self, axis: usize, output: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
        let before = self.pads[0][axis];
        let [first, end] = [before, before + self.input[axis]].map(|end| self.taps_before(axis, output, end));
        let (start, dilation) = (output * self.stride[axis], self.dilation[axis]);
        (first..end).map(move |tap| (tap, start + tap * dilation - before))
    }

    /// Elements of the kernel that lie on the input, and the elements there, for an element of the output; all row-major.
    pub fn taps(&self, output: usize) -> impl Iterator<Item = (usize, usize)> {
        let position = self.position(output);
        let [planes, rows, columns] = [0, 1, 2].map(|axis| self.along(axis, position[axis]));
        let ([_, height, width], [_, kernel_height, kernel_width]) = (self.input, self.kernel);
        let join = |outer: (usize, usize), inner: (usize, usize), kernel: usize, size: usize| {
            (outer.0 * kernel + inner.0, outer.1 * size + inner.1)
        };
        planes.flat_map(move |plane| {
            let columns = columns.clone();
            rows.clone().flat_map(move |row| {
                let row = join(plane, row, kernel_height, height);
                columns.clone().map(move |column| join(row, column, kernel_width, width))
            })
        })
    }

    /// Elements of the kernel that lie on the input or its padding, for an element of the output: not beyond, where
    /// `ceil_mode` has a window end.
    pub fn padded_taps(&self, output: usize) -> f64 {
        let position = self.position(output);
        let end = |axis: usize| self.pads[0][axis] + self.input[axis] + self.pads[1][axis];
        (0..SPATIAL).map(|axis| self.taps_before(axis, position[axis], end(axis)) as f64).product()
    }
}

/// Sizes along the spatial axes, after leading ones of `fill`.
fn three(sizes: &[usize], fill: usize) -> [usize; SPATIAL] {
    let mut all = [fill; SPATIAL];
    all[SPATIAL - sizes.len()..].copy_from_slice(sizes);
    all
}

/// An attribute of sizes, one a spatial axis; `default` if it is absent, and for the leading ones.
fn sizes(call: &Call<'_>, name: &str, rank: usize, default: usize) -> Result<[usize; SPATIAL], Problem> {
    let Some(values) = call.node.ints(name)? else { return Ok([default; SPATIAL]) };
    let values = values.iter().map(|&value| call.size(value)).collect::<Result<Vec<_>, _>>()?;
    if values.len() != rank {
        return Err(call.problem(format!("{name} of {values:?} for {rank} spatial axes")));
    }
    Ok(three(&values, default))
}

/// An attribute of positive numbers, one a spatial axis; ones if it is absent.
fn positive(call: &Call<'_>, name: &str, rank: usize) -> Result<[usize; SPATIAL], Problem> {
    match sizes(call, name, rank, 1)? {
        values if values.contains(&0) => Err(call.problem(format!("{name} of zero"))),
        values => Ok(values),
    }
}

/// The attribute `pads`.
fn pads(call: &Call<'_>, rank: usize) -> Result<[[usize; SPATIAL]; 2], Problem> {
    let Some(values) = call.node.ints("pads")? else { return Ok([[0; SPATIAL]; 2]) };
    let values = values.iter().map(|&value| call.size(value)).collect::<Result<Vec<_>, _>>()?;
    if values.len() != 2 * rank {
        return Err(call.problem(format!("pads of {values:?} for {rank} spatial axes")));
    }
    Ok([three(&values[..rank], 0), three(&values[rank..], 0)])
}
