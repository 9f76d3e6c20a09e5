//! What `train` prints in place of training: the network, a learning rate, or its speed.

pub mod lr_finder;
pub mod summary;
mod throughput;

use crate::{data::DataModule, device::Device, network::Network, settings::Settings};

/// A question about a run that is not trained.
#[derive(Clone, Copy)]
pub enum Inspection {
    Summary,
    Throughput,
    LearningRate,
}

impl Inspection {
    /// The answer, for standard output.
    pub fn answer(
        self,
        settings: &Settings,
        data: &DataModule,
        network: &Network,
        device: &Device,
    ) -> anyhow::Result<String> {
        match self {
            Self::Summary => Ok(summary::table(network)),
            Self::Throughput => throughput::table(settings, data, network, device),
            Self::LearningRate => lr_finder::setting(settings, data, network, device),
        }
    }
}
