//! Where a run computes: the CPU, or the GPU of `trainer.device`.

use crate::settings::TrainerSettings;
use anyhow::{Context, ensure};
use collective::Launch;
use cuda_nets::{Gpu, Libraries, Precision};
use std::{fmt, sync::Arc};

/// The device that a run computes on.
pub enum Device {
    Cpu,
    Gpu {
        gpu: Arc<Gpu>,
        number: u32,
        /// Of activations and their gradients.
        precision: Precision,
    },
}

/// As the setting has it: `cuda:0`.
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu { number, .. } => write!(f, "cuda:{number}"),
        }
    }
}

impl Device {
    /// What the ranks of a run must share for the same bytes: not the number of a GPU.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Gpu { .. } => "cuda",
        }
    }

    /// The device of the settings. With `auto`, the ranks of a machine take its GPUs in turns.
    ///
    /// # Errors
    /// If the GPU cannot be used, or a precision is chosen that the CPU does not have.
    pub fn open(trainer: &TrainerSettings, launch: Option<&Launch>) -> anyhow::Result<Self> {
        let precision = trainer.precision;
        let asked = || format!("trainer.device={}", trainer.device);
        let Some(number) = number(trainer.device, launch).with_context(asked)? else {
            ensure!(precision == Precision::F32, no_such_precision(trainer));
            return Ok(Self::Cpu);
        };
        let gpu = Gpu::open(number, &Libraries::default()).with_context(asked)?;
        Ok(Self::Gpu { gpu, number, precision })
    }
}

/// The number of the GPU that is meant; None is the CPU.
fn number(device: cuda::Device, launch: Option<&Launch>) -> cuda::Result<Option<u32>> {
    let first = device.ordinal()?;
    match (device, first, launch.and_then(|launch| Some((launch.rank, launch.local_size?)))) {
        (cuda::Device::Auto, Some(_), Some((rank, local_size))) => {
            Ok(Some((rank % local_size) as u32 % cuda::count()?))
        }
        _ => Ok(first),
    }
}

fn no_such_precision(trainer: &TrainerSettings) -> String {
    let precision = match trainer.precision {
        Precision::F32 => "f32",
        Precision::Tf32 => "tf32",
        Precision::Bf16 => "bf16",
    };
    let hint = match trainer.device {
        cuda::Device::Auto => {
            "; trainer.device=auto found none, and trainer.device=cuda:0 says why; the CPU takes trainer.precision=f32"
        }
        _ => "; use trainer.precision=f32, or trainer.device=cuda:0",
    };
    format!("trainer.precision={precision}: on a GPU only{hint}")
}
