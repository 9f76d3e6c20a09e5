//! What an engine asks of a configuration.

use super::{ModelConfig, ModelDynamicBatching, ModelQueuePolicy, ModelWarmup};
use crate::{
    DataType,
    grpc::proto::{
        DataType as ConfigDataType, model_config::SchedulingChoice, model_version_policy::PolicyChoice,
        model_warmup::input::InputDataType,
    },
};

/// The versions of a model that are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Versions {
    /// The so many highest.
    Latest(usize),
    /// All that are in the repository.
    All,
    /// These, as far as they are in the repository.
    Specific(Vec<u64>),
}

/// An input of a warm-up request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarmupInput {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub data_type: DataType,
    /// Its shape, without the batch axis of a model that batches.
    pub dims: Vec<usize>,
    /// Where its data comes from.
    pub data: WarmupData,
}

/// Data of a warm-up request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WarmupData {
    /// Zeros, or empty strings.
    Zero,
    /// Random values.
    Random,
    /// A file in the folder `warmup` of the model: little-endian values, or strings with their lengths. The name comes out
    /// of the configuration: it is no path that can be trusted.
    File(String),
}

impl ModelConfig {
    /// Rows of a batch at most; 0 for a model whose tensors have no batch axis.
    pub fn batch_limit(&self) -> usize {
        usize::try_from(self.max_batch_size).unwrap_or(0)
    }

    /// How requests are put together; None where they are not.
    pub fn dynamic_batching(&self) -> Option<&ModelDynamicBatching> {
        match &self.scheduling_choice {
            Some(SchedulingChoice::DynamicBatching(batching)) => Some(batching),
            _ => None,
        }
    }

    /// Instances of the model in all groups together; a group without a count has one. None without groups.
    pub fn instances(&self) -> Option<usize> {
        let counts = self.instance_group.iter().map(|group| usize::try_from(group.count).unwrap_or(0).max(1));
        counts.reduce(usize::saturating_add)
    }

    /// The versions that are served; the highest alone where the configuration names none.
    pub fn versions(&self) -> Versions {
        let choice = self.version_policy.as_ref().and_then(|policy| policy.policy_choice.as_ref());
        match choice {
            None => Versions::Latest(1),
            Some(PolicyChoice::Latest(latest)) => Versions::Latest(latest.num_versions as usize),
            Some(PolicyChoice::All(_)) => Versions::All,
            Some(PolicyChoice::Specific(specific)) => {
                Versions::Specific(specific.versions.iter().filter_map(|&version| version.try_into().ok()).collect())
            }
        }
    }
}

impl ModelDynamicBatching {
    /// Batch sizes that are sent off at once, ascending; empty for none.
    pub fn preferred_sizes(&self) -> Vec<usize> {
        let mut sizes: Vec<usize> = self.preferred_batch_size.iter().filter_map(|&size| size.try_into().ok()).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    /// The level of a request whose parameter `priority` is so much: 1 is the highest, 0 where the model has no levels.
    /// A parameter that is no level is the default, as in Triton.
    pub fn priority_level(&self, priority: u64) -> u64 {
        match priority {
            level if (1..=self.priority_levels).contains(&level) => level,
            _ => self.default_priority_level,
        }
    }

    /// The policy for requests of a priority level; None where the configuration has none.
    pub fn queue_policy(&self, level: u64) -> Option<&ModelQueuePolicy> {
        self.priority_queue_policy.get(&level).or(self.default_queue_policy.as_ref())
    }
}

impl ModelWarmup {
    /// Rows of the request; 1 where the configuration has 0, which is meant for models without a batch axis.
    pub fn rows(&self) -> usize {
        (self.batch_size as usize).max(1)
    }

    /// How often the request is run; at least once.
    pub fn repetitions(&self) -> usize {
        (self.count as usize).max(1)
    }

    /// The inputs, ordered by name.
    pub fn warmup_inputs(&self) -> Vec<WarmupInput> {
        let mut inputs: Vec<WarmupInput> = self
            .inputs
            .iter()
            .filter_map(|(name, input)| {
                let data = match input.input_data_type.as_ref()? {
                    InputDataType::ZeroData(_) => WarmupData::Zero,
                    InputDataType::RandomData(_) => WarmupData::Random,
                    InputDataType::InputDataFile(file) => WarmupData::File(file.clone()),
                };
                let dims = input.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect::<Option<_>>()?;
                Some(WarmupInput { name: name.clone(), data_type: input.data_type().element_type()?, dims, data })
            })
            .collect();
        inputs.sort_by(|left, right| left.name.cmp(&right.name));
        inputs
    }
}

impl ConfigDataType {
    /// The type in requests; None for `TYPE_INVALID`.
    pub fn element_type(self) -> Option<DataType> {
        Some(match self {
            Self::TypeInvalid => return None,
            Self::TypeBool => DataType::Bool,
            Self::TypeUint8 => DataType::Uint8,
            Self::TypeUint16 => DataType::Uint16,
            Self::TypeUint32 => DataType::Uint32,
            Self::TypeUint64 => DataType::Uint64,
            Self::TypeInt8 => DataType::Int8,
            Self::TypeInt16 => DataType::Int16,
            Self::TypeInt32 => DataType::Int32,
            Self::TypeInt64 => DataType::Int64,
            Self::TypeFp16 => DataType::Fp16,
            Self::TypeBf16 => DataType::Bf16,
            Self::TypeFp32 => DataType::Fp32,
            Self::TypeFp64 => DataType::Fp64,
            Self::TypeString => DataType::Bytes,
        })
    }
}

impl From<DataType> for ConfigDataType {
    fn from(data_type: DataType) -> Self {
        match data_type {
            DataType::Bool => Self::TypeBool,
            DataType::Uint8 => Self::TypeUint8,
            DataType::Uint16 => Self::TypeUint16,
            DataType::Uint32 => Self::TypeUint32,
            DataType::Uint64 => Self::TypeUint64,
            DataType::Int8 => Self::TypeInt8,
            DataType::Int16 => Self::TypeInt16,
            DataType::Int32 => Self::TypeInt32,
            DataType::Int64 => Self::TypeInt64,
            DataType::Fp16 => Self::TypeFp16,
            DataType::Bf16 => Self::TypeBf16,
            DataType::Fp32 => Self::TypeFp32,
            DataType::Fp64 => Self::TypeFp64,
            DataType::Bytes => Self::TypeString,
        }
    }
}
