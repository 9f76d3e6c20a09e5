//! The text of the kernels, and how a call is divided into blocks.
//!
//! The constants of the logarithm are written from those of `kernels`, which owns them.

use cudarc::driver::LaunchConfig;
use kernels::LogarithmTables;
use std::fmt::Write;

/// What makes the text CUDA.
const DEVICE: &str = include_str!("../kernels/device.cuh");
/// What makes the text C++.
const SHIM: &str = include_str!("../kernels/shim.h");
const ENTROPY: &str = include_str!("../kernels/entropy.cu");
const RELU: &str = include_str!("../kernels/relu.cu");

/// Kernels that are compiled together: a text that is CUDA after one prelude, and C++ after another.
#[derive(Debug, Clone)]
pub struct Program {
    text: String,
}

impl Program {
    /// The program of these texts, in their order.
    pub fn new(texts: &[&str]) -> Self {
        Self { text: texts.join("\n") }
    }

    /// The text for NVRTC.
    pub fn cuda(&self) -> String {
        [DEVICE, &self.text].join("\n")
    }

    /// The text for a C++ compiler: a call of a kernel computes the block that `shim_block` chose.
    pub fn cpu(&self) -> String {
        [SHIM, &self.text].join("\n")
    }

    /// The names of its macros.
    fn macros(&self) -> impl Iterator<Item = &str> {
        let definitions = self.text.lines().filter_map(|line| line.strip_prefix("#define "));
        definitions.filter_map(|definition| definition.split(['(', ' ']).next())
    }

    /// The names of its kernels: of lines `KERNEL name(...`, and of uses, `MACRO(name, ...`, of macros that define a
    /// kernel, whose first parameter is `name`. Each begins its line.
    pub fn kernels(&self) -> Vec<&str> {
        let (mut macros, mut kernels) = (vec!["KERNEL "], vec![]);
        for line in self.text.lines() {
            if let Some(definition) = line.strip_prefix("#define ") {
                let open = definition.find('(').map_or(0, |at| at + 1);
                let defines_kernel = definition[open..].starts_with("name,") || definition[open..].starts_with("name)");
                macros.extend((open > 0 && defines_kernel).then_some(&definition[..open]));
            }
            let name = macros.iter().find_map(|start| line.strip_prefix(start)?.split(['(', ',', ')']).next());
            kernels.extend(name);
        }
        kernels
    }
}

/// The kernels of `entropy` and `relu`.
pub fn program() -> Program {
    let (f32, f64) = (LogarithmTables::f32(), LogarithmTables::f64());
    let tables = [logarithm("LogarithmF32", "float", &f32), logarithm("LogarithmF64", "double", &f64)];
    Program::new(&[&tables[0], &tables[1], ENTROPY, RELU])
}

/// The kernels of `entropy` and `relu`, for NVRTC.
pub fn cuda() -> String {
    program().cuda()
}

/// The kernels of `entropy` and `relu`, for a C++ compiler.
pub fn cpu() -> String {
    program().cpu()
}

/// A driver and an NVRTC that run the kernels of `entropy` and `relu` on the CPU, as C++, for tests of what calls them.
pub fn fake_driver() -> String {
    fake_driver_of(&[program()])
}

/// As [`fake_driver`], with the kernels of several programs, whose names differ.
pub fn fake_driver_of(programs: &[Program]) -> String {
    let (mut texts, mut table) = (String::new(), String::new());
    for (i, program) in programs.iter().enumerate() {
        let _ = writeln!(texts, "namespace program_{i} {{\n{}\n}}", program.text);
        for name in program.macros() {
            let _ = writeln!(texts, "#undef {name}");
        }
        for name in program.kernels() {
            let _ = writeln!(table, "    {{\"{name}\", call<program_{i}::{name}>}},");
        }
    }
    let driver = include_str!("../kernels/fake_driver.cc").replace("    KERNELS\n", &table);
    [SHIM, &texts, &driver].join("\n")
}

/// A struct with the logarithm's constants in type `real`.
fn logarithm(name: &str, real: &str, tables: &LogarithmTables) -> String {
    let array = |kind: &str, values: &[f64]| {
        let values: Vec<_> = values.iter().map(|x| format!("({real}){x:e}")).collect();
        format!("CONSTANT {real} {name}_{kind}[] = {{{}}};\n", values.join(", "))
    };
    let mut text = array("reciprocals", &tables.reciprocals) + &array("logarithms", &tables.logarithms);
    let LogarithmTables { low, mantissa, step, reciprocals, series, ln_2, .. } = tables;
    let mut polynomial = String::new();
    for (i, coefficient) in series.iter().rev().enumerate() {
        let _ = match i {
            0 => write!(polynomial, "{real} y = ({real}){coefficient:e};"),
            _ => write!(polynomial, " y = fused(y, f, ({real}){coefficient:e});"),
        };
    }
    let _ = write!(
        text,
        "struct {name} {{\n\
         static constexpr unsigned long long LOW = {low:#x}ull, MANTISSA = {mantissa:#x}ull;\n\
         static constexpr unsigned STEP = {step}, ENTRIES = {entries};\n\
         DEVICE {real} ln_2() {{ return ({real}){ln_2:e}; }}\n\
         DEVICE {real} reciprocal(unsigned i) {{ return {name}_reciprocals[i]; }}\n\
         DEVICE {real} logarithm(unsigned i) {{ return {name}_logarithms[i]; }}\n\
         DEVICE {real} series({real} f) {{ {polynomial} return y; }}\n\
         }};\n",
        entries = reciprocals.len(),
    );
    text
}

/// How a call of a kernel is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Blocks.
    pub blocks: u32,
    /// Threads of a block.
    pub threads: u32,
    /// Bytes of a block's shared memory.
    pub shared_bytes: u32,
}

/// Up to this width of a row a thread computes a row; beyond, several threads do.
pub const NARROW: usize = 64;
/// The most rows of a call, and the largest width: indices are of 32 bits, and a grid has at most 2³¹ - 1 blocks.
pub const MAX_ROWS: usize = (1 << 31) - 1;

/// Shared memory that a block has without asking for more.
const SHARED_BYTES: usize = 48 << 10;
/// Bytes of a cache line of the CPU's vectors, which fix the order of a wide row's additions.
const VECTOR_BYTES: usize = 64;
/// Entries of the two tables of the logarithm together fill the 32 banks of shared memory twice, in each type.
const TABLE_BYTES: usize = 2 * 128;
/// Lanes of a row's sum in double.
const SUM_LANES: usize = 8;
/// Lines of 16 bytes that a thread of `relu` has.
const RELU_LINES: usize = 4;

impl Grid {
    /// So many blocks of so many threads; numbers that no GPU takes stay too large for one.
    pub fn new(blocks: usize, threads: usize, shared_bytes: usize) -> Self {
        let number = |x: usize| u32::try_from(x).unwrap_or(u32::MAX);
        Self { blocks: number(blocks), threads: number(threads), shared_bytes: number(shared_bytes) }
    }
}

impl From<Grid> for LaunchConfig {
    fn from(Grid { blocks, threads, shared_bytes }: Grid) -> Self {
        Self { grid_dim: (blocks, 1, 1), block_dim: (threads, 1, 1), shared_mem_bytes: shared_bytes }
    }
}

/// The name of the entropy's kernel for rows of `width` elements of `size` bytes.
pub fn entropy_name(width: usize, size: usize, normalize: bool) -> String {
    let kind = if width <= NARROW { "narrow" } else { "wide" };
    format!("entropy_{kind}{}_f{}", if normalize { "_scaled" } else { "" }, 8 * size)
}

/// The grid of the entropy's kernel for `rows` rows of `width` elements of `size` bytes; both at most [`MAX_ROWS`].
pub fn entropy_grid(rows: usize, width: usize, size: usize) -> Grid {
    let (threads, rows_a_block, shared_bytes) = if width <= NARROW {
        let bytes = |threads: usize| TABLE_BYTES + threads * (width | 1) * size;
        let threads = if bytes(128) <= SHARED_BYTES { 128 } else { 64 };
        (threads, threads, bytes(threads))
    } else {
        let (threads, lanes) = (256, VECTOR_BYTES / size);
        // Of each thread: two sums and a sign. Of each row: the lanes of its sum, and what they lost.
        let bytes = TABLE_BYTES + 3 * threads * size + 2 * threads / lanes * SUM_LANES * size_of::<f64>();
        (threads, threads / lanes, bytes)
    };
    Grid::new(rows.div_ceil(rows_a_block), threads, shared_bytes)
}

/// The name of the kernel of `relu` for elements of `size` bytes.
pub fn relu_name(size: usize) -> String {
    format!("relu_f{}", 8 * size)
}

/// The grid of the kernel of `relu` for `count` elements of `size` bytes.
pub fn relu_grid(count: usize, size: usize) -> Grid {
    let threads = 256;
    Grid::new((count * size / 16).div_ceil(RELU_LINES * threads).max(1), threads, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_grid_covers_its_rows_in_the_shared_memory_that_every_gpu_has() {
        for size in [4, 8] {
            for width in [1, 2, 8, 47, 48, 63, 64, 65, 4096] {
                let Grid { blocks, threads, shared_bytes } = entropy_grid(1_000_001, width, size);
                let rows = if width <= NARROW { threads } else { threads / (64 / size as u32) };
                assert_eq!(blocks, 1_000_001u32.div_ceil(rows));
                assert!(shared_bytes as usize <= SHARED_BYTES, "{width} {size} {shared_bytes}");
                // element / width is exact as a product only so far.
                assert!(width > NARROW || threads as usize * width < (1 << 20) / NARROW, "{width}");
            }
            assert_eq!(relu_grid(0, size).blocks, 1);
            assert_eq!(relu_grid(1 << 20, size).blocks as usize, (1 << 20) * size / (16 * 4 * 256));
        }
    }

    #[test]
    fn names_are_in_the_text() {
        for size in [4, 8] {
            for (width, normalize) in [(8, false), (8, true), (65, false), (65, true)] {
                assert!(program().kernels().contains(&entropy_name(width, size, normalize).as_str()));
            }
            assert!(program().kernels().contains(&relu_name(size).as_str()));
        }
        assert_eq!(program().kernels().len(), 10);
    }
}
