//! The real binary with `trainer.device=cuda:0`, on a machine whose driver, NVRTC, cuBLAS and cuDNN are C++ on the CPU
//! (`cuda_nets::source::fake_machine`): a run's files, and its errors. What is not tested so is the GPU itself (`docs/gpu.md`).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use events::{Event, Start};
use serde_json::Value;
use std::{fs, net::TcpListener, path::Path, sync::OnceLock, thread};
use testkit::{FakeGpu, Folder, Tool, npy, rows, tool};

/// A small network of the kinds of layers that a large one has.
const IMAGES: [&str; 16] = [
    "--config-name=cifar10",
    "model=small_cnn",
    "scheduler=constant",
    "optimizer.learning_rate=0.05",
    "model.layers=[{conv:{channels:8}},{norm:{}},{activation:relu},{residual:{channels:8,stride:2}},{average_pool:{}},{linear:{}}]",
    "augmentation.pad=2",
    "augmentation.flip=alternating",
    "augmentation.cutout=3",
    "trainer.batch_size=32",
    "trainer.max_epochs=6",
    "trainer.accumulate_batches=2",
    "trainer.ema_decay=0.9",
    "trainer.clip_norm=1",
    "trainer.log_every_steps=1",
    "trainer.test_flip=true",
    "trainer.split=[0.7,0.2,0.1]",
];
const FILES: [&str; 4] = ["model.safetensors", "metrics.json", "history.csv", "test.npy"];

/// None where there is no C++ compiler.
fn gpu() -> Option<&'static FakeGpu> {
    static GPU: OnceLock<Option<FakeGpu>> = OnceLock::new();
    GPU.get_or_init(|| FakeGpu::compile(&cuda_nets::source::fake_machine())).as_ref()
}

/// Images of two classes, red ones and blue ones, under noise.
fn images(folder: &Folder, count: usize) {
    let (mut bytes, mut state) = (Vec::new(), 1u32);
    for i in 0..count {
        for pixel in 0..3 * 8 * 8 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bytes.push((state >> 25) as u8 + if pixel / 64 == i % 2 * 2 { 100 } else { 0 });
        }
        bytes.push((i % 2) as u8);
    }
    folder.write("rows.npy", npy::file("[('image', '|u1', (3, 8, 8)), ('label', '|u1')]", count, &bytes));
}

fn train(folder: &Folder, device: &str, args: &[&str]) -> Tool {
    tool!("train").within(folder.join("")).args(["--quiet", &format!("trainer.device={device}")]).args(args)
}

/// A run on the fake machine.
fn trained(gpu: &FakeGpu, folder: &Folder, args: &[&str]) -> Vec<Event> {
    events(gpu.run(train(folder, "cuda:0", args)))
}

fn events(tool: Tool) -> Vec<Event> {
    let done = tool.run();
    assert_eq!((done.status, done.error.as_str()), (0, ""));
    done.out.lines().map(|line| Event::from_line(line).unwrap().unwrap()).collect()
}

fn assert_same(folder: &Folder, a: &str, b: &str) {
    for file in FILES {
        let read = |run: &str| fs::read(folder.join(run).join(file)).unwrap();
        assert!(read(a) == read(b), "{file} of {a} and {b}");
    }
}

/// A metric of a run's `metrics.json`.
fn metric(folder: &Folder, run: &str, split: &str, name: &str) -> f64 {
    let metrics: Value = folder.json(Path::new(run).join("metrics.json"));
    metrics[split][name].as_f64().unwrap_or_else(|| panic!("{split} {name} in {metrics}"))
}

fn assert_near(folder: &Folder, [a, b]: [&str; 2], tolerance: f64) {
    for split in ["val", "test"] {
        let [a, b] = [a, b].map(|run| metric(folder, run, split, "loss"));
        assert!((a - b).abs() <= tolerance * a.abs(), "{split} loss: {a}, {b}");
    }
}

#[test]
fn the_entropy_predictor_learns_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let folder = Folder::with(&[("rows.ndjson", &rows::linear(400))]);
    let args = ["rows.ndjson", "trainer.max_epochs=4"];
    let started = trained(gpu, &folder, &[&args[..], &["-o", "gpu"]].concat());
    assert!(
        matches!(&started[0], Event::Start(start) if matches!(&**start, Start { device, .. } if device == "cuda:0"))
    );
    trained(gpu, &folder, &[&args[..], &["-o", "again"]].concat());
    events(train(&folder, "cpu", &[&args[..], &["-o", "cpu"]].concat()));
    assert_same(&folder, "gpu", "again");
    assert_near(&folder, ["cpu", "gpu"], 1e-3);
    for (precision, tolerance) in [("tf32", 1e-3), ("bf16", 0.2)] {
        let precise = format!("trainer.precision={precision}");
        trained(gpu, &folder, &[&args[..], &["-o", precision, &precise]].concat());
        assert_near(&folder, ["cpu", precision], tolerance);
    }
}

#[test]
fn images_are_augmented_and_learned_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let folder = Folder::new();
    images(&folder, 300);
    let args = [&["rows.npy"], &IMAGES[..]].concat();
    trained(gpu, &folder, &[&args[..], &["-o", "gpu"]].concat());
    events(train(&folder, "cpu", &[&args[..], &["-o", "cpu"]].concat()));
    assert_near(&folder, ["cpu", "gpu"], 0.02);
    assert!(metric(&folder, "gpu", "test", "accuracy") >= 0.9);
    // Rows that stay in their file are loaded on the CPU, with the same bytes.
    trained(gpu, &folder, &[&args[..], &["-o", "streamed", "trainer.memory_bytes=1000"]].concat());
    assert_same(&folder, "gpu", "streamed");
}

/// Frozen whitening, partial identities, max pooling, norms without scale, and the recipe of the experiment.
#[test]
fn a_small_speednet_learns_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let folder = Folder::new();
    images(&folder, 300);
    let norm = "{norm:{scale:false,momentum:0.4,eps:1e-6}},{activation:gelu}";
    let layers = format!(
        "model.layers=[{{whiten:{{kernel:2,images:100}}}},{{activation:gelu}},{{conv:{{channels:8,init:dirac}}}},\
         {{max_pool:{{size:2}}}},{norm},{{conv:{{channels:16,init:dirac}}}},{norm},{{max_pool:{{size:3}}}},{{linear:{{}}}},\
         {{scale:0.11}}]"
    );
    let recipe = ["rows.npy", "--config-name=cifar10", "+experiment=speednet", &layers, "trainer.split=[0.7,0.2,0.1]"];
    let small = ["trainer.batch_size=32", "trainer.max_epochs=4", "augmentation.pad=1", "optimizer.learning_rate=0.1"];
    let args = [&recipe[..], &small].concat();
    events(train(&folder, "cpu", &[&args[..], &["-o", "cpu"]].concat()));
    for (precision, tolerance) in [("f32", 0.02), ("tf32", 0.02), ("bf16", 0.1)] {
        let setting = format!("trainer.precision={precision}");
        trained(gpu, &folder, &[&args[..], &["-o", precision, &setting]].concat());
        assert_near(&folder, ["cpu", precision], tolerance);
    }
}

#[test]
fn a_run_that_is_resumed_has_the_bytes_of_one_that_is_not() {
    let Some(gpu) = gpu() else { return };
    let folder = Folder::new();
    images(&folder, 300);
    for optimizer in ["sgd_nesterov", "adamw"] {
        let optimizer = format!("optimizer={optimizer}");
        let args = [&["rows.npy", &optimizer], &IMAGES[..]].concat();
        trained(gpu, &folder, &[&args[..], &["-o", "whole"]].concat());
        // Within the second epoch.
        trained(gpu, &folder, &[&args[..], &["-o", "parts", "trainer.max_steps=5"]].concat());
        let rest = trained(gpu, &folder, &[&args[..], &["-o", "parts", "trainer.resume=last"]].concat());
        assert!(matches!(&rest[0], Event::Start(start) if start.resumed.as_ref().is_some_and(|from| from.step == 5)));
        assert_same(&folder, "whole", "parts");
        fs::remove_dir_all(folder.join("whole")).unwrap();
        fs::remove_dir_all(folder.join("parts")).unwrap();
    }
}

#[test]
fn a_checkpoint_of_a_gpu_is_one_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let folder = Folder::new();
    images(&folder, 300);
    for run in ["begun-there", "begun-here"] {
        let args = [&["rows.npy"], &IMAGES[..], &["-o", run]].concat();
        let there = |more: &str| gpu.run(train(&folder, "cuda:0", &args)).args([more]);
        let here = |more: &str| train(&folder, "cpu", &args).args([more]);
        let (begin, resume) = ("trainer.max_steps=5", "trainer.resume=last");
        for tool in if run == "begun-there" { [there(begin), here(resume)] } else { [here(begin), there(resume)] } {
            events(tool);
        }
        assert!(metric(&folder, run, "test", "accuracy") >= 0.9);
    }
    // Both took the same steps, but for rounding.
    assert_near(&folder, ["begun-there", "begun-here"], 0.02);
}

#[test]
fn rows_that_do_not_fit_are_loaded_on_the_cpu_and_a_batch_that_does_not_is_one_line() {
    let Some(gpu) = gpu() else { return };
    let folder = Folder::new();
    images(&folder, 4000);
    let on = |run: &str, args: &[&str]| {
        let args = [&["rows.npy"], &IMAGES[..], &["-o", run, "trainer.max_steps=3"], args].concat();
        gpu.run(train(&folder, "cuda:0", &args))
    };
    // The rows have 4000 · 192 bytes.
    let memory = (4000 * 192 - 1).to_string();
    events(on("ample", &["trainer.batch_size=16"]));
    events(on("small", &["trainer.batch_size=16"]).env("FAKE_MEMORY", &memory));
    assert_same(&folder, "ample", "small");
    // The first convolution's outputs have 1000 · 8 · 8 · 8 · 4 bytes.
    let full = on("full", &["trainer.batch_size=1000"]).env("FAKE_MEMORY", &memory).run();
    assert_eq!(full.status, 2);
    let line = "train: the GPU's memory has no room for another 750 KiB of activations; lower trainer.batch_size, make the network smaller, or choose the device cpu\n";
    assert_eq!(full.error, line);
}

#[test]
fn ranks_exchange_the_gradients_of_their_gpus() {
    let Some(gpu) = gpu() else { return };
    let folder = Folder::new();
    images(&folder, 300);
    let args = [&["rows.npy"], &IMAGES[..]].concat();
    trained(gpu, &folder, &[&args[..], &["-o", "one"]].concat());
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port().to_string();
    let rank = |rank: &str| {
        let tool = gpu.run(train(&folder, "auto", &[&args[..], &["-o", "two"]].concat())).env("FAKE_GPUS", "2");
        let tool = tool.env("RANK", rank).env("WORLD_SIZE", "2").env("LOCAL_WORLD_SIZE", "2");
        tool.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", &port)
    };
    let (second, first) = thread::scope(|scope| {
        let second = scope.spawn(|| rank("1").run());
        let first = events(rank("0"));
        (second.join().unwrap(), first)
    });
    assert_eq!(second.status, 0, "{}", second.error);
    assert!(matches!(&first[0], Event::Start(start) if start.device == "cuda:0"));
    assert_same(&folder, "one", "two");
}

#[test]
fn inspections_compute_there_too() {
    let Some(gpu) = gpu() else { return };
    let folder = Folder::with(&[("rows.ndjson", &rows::linear(400))]);
    let inspect = |args: &[&str]| gpu.run(train(&folder, "cuda:0", &[&["rows.ndjson"], args].concat())).works();
    assert!(inspect(&["--summary"]).contains("FLOP a row"));
    assert!(inspect(&["--find-learning-rate", "trainer.batch_size=32"]).starts_with("optimizer.learning_rate="));
    assert!(inspect(&["--throughput"]).contains("GFLOP/s"));
}

#[test]
fn a_run_that_diverges_keeps_the_last_good_weights() {
    let Some(gpu) = gpu() else { return };
    let folder = Folder::with(&[("rows.ndjson", &rows::linear(400))]);
    let args = ["rows.ndjson", "optimizer=sgd", "optimizer.learning_rate=1e30", "trainer.max_epochs=3"];
    let done = gpu.run(train(&folder, "cuda:0", &args)).run();
    assert_eq!(done.status, 1, "{}", done.error);
    assert!(done.error.contains("not finite"), "{}", done.error);
}

/// The line of a run that cannot start.
fn refusal(tool: Tool) -> String {
    let (status, out, error) = tool.run().parts();
    assert_eq!((status, out.as_str(), error.lines().count()), (2, "", 1), "{error}");
    error.strip_prefix("train: ").unwrap().trim_end().to_owned()
}

#[test]
fn a_gpu_that_cannot_be_used_is_one_line_before_rows_are_read() {
    let folder = Folder::with(&[("rows.ndjson", &rows::linear(40))]);
    let on = |device: &str, args: &[&str]| train(&folder, device, &[&["rows.ndjson"], args].concat());
    for precision in ["bf16", "tf32"] {
        let setting = format!("trainer.precision={precision}");
        assert_eq!(
            refusal(on("cpu", &[&setting])),
            format!("{setting}: on a GPU only; use trainer.precision=f32, or trainer.device=cuda:0")
        );
    }
    let Some(gpu) = gpu() else { return };
    let refused = |device: &str, args: &[&str], variable: &str, value: &str| {
        let line = refusal(gpu.run(on(device, args)).env(variable, value));
        // The inspections are refused as the run is.
        let summary = gpu.run(on(device, args)).args(["--summary"]).env(variable, value);
        assert_eq!(refusal(summary), line);
        line
    };
    assert_eq!(
        refused("cuda:4", &[], "FAKE_GPUS", "3"),
        "trainer.device=cuda:4: no GPU 4: there are 3, cuda:0 to cuda:2; choose the device cpu"
    );
    assert_eq!(
        refused("cuda:0", &[], "FAKE_DRIVER", "12040"),
        "trainer.device=cuda:0: the NVIDIA driver has CUDA 12.4, and 13.0 or newer is required; update it, or choose the \
         device cpu"
    );
    assert_eq!(
        refused("auto", &["trainer.precision=bf16"], "FAKE_GPUS", "0"),
        "trainer.precision=bf16: on a GPU only; trainer.device=auto found none, and trainer.device=cuda:0 says why; the CPU \
         takes trainer.precision=f32"
    );
    for (variable, name) in
        [("NVRTC_DYLIB_PATH", "NVRTC"), ("CUBLAS_DYLIB_PATH", "cuBLAS"), ("CUDNN_DYLIB_PATH", "cuDNN")]
    {
        // With the kernels of the cache no compiler is needed.
        let cache = Folder::new();
        let tool = gpu.run(on("cuda:0", &[])).env("XDG_CACHE_HOME", &*cache).env(variable, "/none/lib.so");
        let line = refusal(tool);
        assert!(line.starts_with(&format!("trainer.device=cuda:0: {name}, which ")), "{line}");
        assert!(line.contains("/none/lib.so") && line.contains(variable), "{line}");
    }
}
