//! From an ONNX graph to a serialized engine.

use crate::{Error, Library, Log, Result, listing, reason};
use trt_protocol::{BuildOptions, Built, InputProfile};
use trtx::{
    Builder, BuilderConfig, BuilderFlag, MemoryPoolType, OnnxParser, OptProfileSelector, ProfilingVerbosity,
    trtx_sys::Dims64,
};

/// Most dimensions of a tensor.
const RANK: usize = 8;

/// Builds an engine of the model `onnx`, which has its weights inside.
///
/// # Errors
/// When TensorRT refuses the model or an option; the message has the node, if there is one, and the reason.
pub fn build(library: &Library, log: &Log, onnx: &[u8], options: &BuildOptions) -> Result<(Vec<u8>, Built)> {
    let failed = |e: trtx::Error| Error::Model(log.reason(&e));
    let logger = log.logger().map_err(failed)?;
    let mut builder = Builder::new(&logger).map_err(failed)?;
    let network = builder.create_network(0).map_err(failed)?;
    let mut config = builder.create_config().map_err(failed)?;
    configure(&mut config, options)?;
    let mut profile = builder.creata_optimization_profile().map_err(failed)?;
    let mut parser = OnnxParser::new(network, &logger).map_err(failed)?;
    parser.parse(onnx).map_err(|_| Error::Model(reason::of_parser(&log.errors())))?;
    if !options.profiles.is_empty() {
        for input in &options.profiles {
            set_shapes(&mut profile, input, log)?;
        }
        config.add_optimization_profile(&mut profile).map_err(failed)?;
    }
    let engine = builder.build_serialized_network(parser.network_mut(), &mut config).map_err(failed)?.to_vec();
    Ok((engine, describe(library, log)?))
}

fn configure(config: &mut BuilderConfig<'_>, options: &BuildOptions) -> Result<()> {
    let level = i32::try_from(options.optimization_level).ok().filter(|level| (0..=5).contains(level));
    let level = level
        .ok_or_else(|| Error::Request(format!("optimization level {}; expected 0 to 5", options.optimization_level)))?;
    config.set_builder_optimization_level(level);
    // The listing of layers has types and shapes at this level only.
    config.set_profiling_verbosity(ProfilingVerbosity::kDETAILED);
    if let Some(bytes) = options.workspace_bytes {
        let bytes = usize::try_from(bytes).map_err(|_| Error::Request(format!("a workspace of {bytes} bytes")))?;
        config.set_memory_pool_limit(MemoryPoolType::kWORKSPACE, bytes);
    }
    if options.tf32 {
        config.set_flag(BuilderFlag::kTF32)
    } else {
        config.clear_flag(BuilderFlag::kTF32)
    }
    set_targets(config, &options.compute_capabilities)
}

#[cfg(not(feature = "enterprise"))]
fn set_targets(config: &mut BuilderConfig<'_>, targets: &[u32]) -> Result<()> {
    let targets = targets.iter().map(target).collect::<Result<Vec<_>>>()?;
    let refused = |_| Error::Request("TensorRT refuses the compute capabilities".into());
    let count = i32::try_from(targets.len()).map_err(|_| Error::Request("too many compute capabilities".into()))?;
    config.set_nb_compute_capabilities(count).map_err(refused)?;
    for (target, index) in targets.into_iter().zip(0..) {
        config.set_compute_capability(target, index).map_err(refused)?;
    }
    Ok(())
}

/// One of [`trt_protocol::COMPUTE_CAPABILITIES`].
#[cfg(not(feature = "enterprise"))]
fn target(number: &u32) -> Result<trtx::ComputeCapability> {
    use trtx::ComputeCapability;
    match number {
        75 => Ok(ComputeCapability::kSM75),
        80 => Ok(ComputeCapability::kSM80),
        86 => Ok(ComputeCapability::kSM86),
        89 => Ok(ComputeCapability::kSM89),
        120 => Ok(ComputeCapability::kSM120),
        121 => Ok(ComputeCapability::kSM121),
        other => Err(Error::Request(format!("TensorRT-RTX does not build for compute capability {other}"))),
    }
}

/// TensorRT 11 builds for the GPU that it finds.
#[cfg(feature = "enterprise")]
fn set_targets(_: &mut BuilderConfig<'_>, targets: &[u32]) -> Result<()> {
    if targets.is_empty() {
        return Ok(());
    }
    Err(Error::Request("TensorRT 11 builds for the GPU of this machine: trt.compute_capabilities must be []".into()))
}

fn set_shapes(
    profile: &mut trtx::optimization_profile::OptimizationProfile<'_>,
    input: &InputProfile,
    log: &Log,
) -> Result<()> {
    let InputProfile { input: name, min, opt, max } = input;
    if name.contains('\0') {
        return Err(Error::Request(format!("input {name:?}: a name with a zero byte")));
    }
    let selectors = [OptProfileSelector::kMIN, OptProfileSelector::kOPT, OptProfileSelector::kMAX];
    for (selector, shape) in selectors.into_iter().zip([min, opt, max]) {
        let dims = dims(shape).ok_or_else(|| Error::Request(format!("input {name:?}: {} dimensions", shape.len())))?;
        profile.set_dimensions(name, selector, &dims).map_err(|e| Error::Request(log.reason(&e)))?;
    }
    Ok(())
}

/// None beyond eight dimensions.
pub(crate) fn dims(shape: &[i64]) -> Option<Dims64> {
    let mut dims = Dims64 { nbDims: i32::try_from(shape.len()).ok()?, d: [0; RANK] };
    dims.d.get_mut(..shape.len())?.copy_from_slice(shape);
    Some(dims)
}

fn describe(library: &Library, log: &Log) -> Result<Built> {
    let version = library.version();
    let text = log.last(listing::START).unwrap_or_default();
    let listing = listing::parse(&text).map_err(|line| Error::Listing { version: version.clone(), line })?;
    let listing::Listing { layers, inputs, outputs } = listing;
    Ok(Built { library: Library::NAME.into(), version, layers, inputs, outputs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(feature = "enterprise"))]
    #[test]
    fn every_target_of_the_protocol_is_known() {
        assert!(trt_protocol::COMPUTE_CAPABILITIES.iter().all(|number| target(number).is_ok()));
        assert!(target(&90).is_err());
    }

    #[test]
    fn shapes_have_at_most_eight_dimensions() {
        assert_eq!(dims(&[1, 2, 3]).map(|dims| (dims.nbDims, dims.d[2], dims.d[3])), Some((3, 3, 0)));
        assert!(dims(&[1; 8]).is_some());
        assert!(dims(&[1; 9]).is_none());
    }
}
