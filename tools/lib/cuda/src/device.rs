//! The setting that chooses a device.

use crate::{Gpu, driver};
use serde::{Deserialize, Deserializer};
use std::{fmt, path::Path, str::FromStr};

/// Where a tool computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Device {
    /// The first GPU; the CPU where there is no driver or no GPU.
    Auto,
    /// The CPU.
    #[default]
    Cpu,
    /// The GPU of this number, from 0.
    Cuda(u32),
}

/// A text that names no device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}; expected auto, cpu, or cuda:N for the GPU number N (cuda is cuda:0)")]
pub struct InvalidDevice(String);

impl FromStr for Device {
    type Err = InvalidDevice;

    fn from_str(text: &str) -> Result<Self, InvalidDevice> {
        let invalid = || InvalidDevice(text.to_owned());
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let number = text.strip_prefix("cuda:").ok_or_else(invalid)?;
                let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
                number.parse().ok().filter(|_| digits).map(Self::Cuda).ok_or_else(invalid)
            }
        }
    }
}

/// As the setting has it.
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Device {
    /// The number of the GPU that is meant; None is the CPU. `auto` is the first GPU, if there is one.
    ///
    /// # Errors
    /// If a GPU is named, and there is no driver or no such GPU.
    pub fn ordinal(self) -> crate::Result<Option<u32>> {
        match self {
            Self::Cpu => Ok(None),
            Self::Auto => Ok(driver::count().is_ok_and(|count| count > 0).then_some(0)),
            Self::Cuda(number) => driver::check(number).map(|()| Some(number)),
        }
    }

    /// The GPU with the kernels of `entropy` and `relu`; None is the CPU. `nvrtc` is the path of NVRTC's library; None
    /// searches for it.
    ///
    /// # Errors
    /// As [`Device::ordinal`], and if the kernels cannot be compiled or loaded. With `auto`, a GPU that cannot be used is
    /// an error too, where there is one: the CPU would hide it.
    pub fn open(self, nvrtc: Option<&Path>) -> crate::Result<Option<Gpu>> {
        self.ordinal()?.map(|number| Gpu::open(number, nvrtc)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_and_written_alike() {
        for (text, device) in [("auto", Device::Auto), ("cpu", Device::Cpu), ("cuda:12", Device::Cuda(12))] {
            assert_eq!(text.parse(), Ok(device));
            assert_eq!(device.to_string(), text);
            assert_eq!(serde_json::from_value::<Device>(text.into()).expect("a device"), device);
        }
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
    }

    #[test]
    fn what_names_no_device_is_told() {
        for text in ["", "gpu", "CPU", "cuda:", "cuda:-1", "cuda:+1", "cuda:x", "cuda:4294967296", "cuda0"] {
            let error = text.parse::<Device>().expect_err("no device").to_string();
            assert_eq!(error, format!("{text:?}; expected auto, cpu, or cuda:N for the GPU number N (cuda is cuda:0)"));
        }
        let error = serde_json::from_value::<Device>(1.into()).expect_err("no text");
        assert!(error.to_string().contains("invalid type"), "{error}");
    }

    #[test]
    fn the_cpu_needs_no_driver() {
        assert_eq!(Device::Cpu.ordinal().expect("the CPU"), None);
    }
}
