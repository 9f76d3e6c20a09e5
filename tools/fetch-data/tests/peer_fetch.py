"""What fetch-data writes, against Python's own readers: tarfile, gzip and NumPy, and Pillow for images."""

import gzip
import hashlib
import io
import json
import os
import resource
import struct
import subprocess
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from peers import BIN
from PIL import ExifTags, Image, ImageOps

REAL = os.environ.get("PIPEGRAD_CIFAR10_IMAGES", "").removeprefix("file://")
SETTINGS = ["-o", "out", "--quiet", "download.cache=cache"]


@pytest.fixture
def fetch(run, tmp_path):
    """Runs fetch-data; returns the arrays and the description."""

    def fetch(*args):
        run("fetch-data", *SETTINGS, *args)
        out = tmp_path / "out"
        return np.load(out / "train.npy"), np.load(out / "test.npy"), json.loads((out / "dataset.json").read_text())

    return fetch


def archive(key, path):
    """The settings for a file made on the spot."""
    data = path.read_bytes()
    values = f"urls: ['file://{path}'], sha256: {hashlib.sha256(data).hexdigest()}, bytes: {len(data)}"
    return f"dataset.files.{key}={{{values}}}"


def random(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def check_statistics(description, train):
    """Mean and standard deviation of each channel, as people quote them."""
    levels = np.arange(256) / 255
    for channel, (mean, std) in enumerate(zip(description["train"]["mean"], description["train"]["std"], strict=True)):
        share = np.bincount(train["image"][:, channel].ravel(), minlength=256) / train["image"][:, channel].size
        assert mean == pytest.approx((share * levels).sum(), rel=1e-12)
        assert std == pytest.approx(np.sqrt((share * (levels - mean) ** 2).sum()), rel=1e-9)


def test_cifar_10(fetch, tmp_path):
    path = tmp_path / "cifar-10-binary.tar.gz"
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
    # Enough rows for several chunks of the converter.
    batches = {name: random(i, 700, 3073) for i, name in enumerate(names)}
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name in reversed(names):
            batches[name][:, 0] %= 10
            add(tar, f"cifar-10-batches-bin/{name}", batches[name].tobytes())
        add(tar, "cifar-10-batches-bin/batches.meta.txt", b"".join(b"class %d\n" % i for i in range(10)))

    train, test, description = fetch("dataset=cifar10", archive("archive", path))

    with tarfile.open(path) as tar:
        read = [np.frombuffer(tar.extractfile(f"cifar-10-batches-bin/{name}").read(), np.uint8) for name in names]
    rows = np.concatenate(read).reshape(-1, 3073)
    both = np.concatenate([train, test])
    assert train.dtype == np.dtype([("image", "u1", (3, 32, 32)), ("label", "u1")]) and len(train) == 3500
    np.testing.assert_array_equal(both["label"], rows[:, 0])
    np.testing.assert_array_equal(both["image"], rows[:, 1:].reshape(-1, 3, 32, 32))
    assert description["classes"] == {"label": [f"class {i}" for i in range(10)]}
    check_statistics(description, train)


def add(tar, name, data):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def test_mnist(fetch, tmp_path):
    settings, arrays = [], {}
    for split, rows in [("train", 300), ("test", 50)]:
        arrays[split] = random(rows, rows, 28, 28), random(rows + 1, rows) % 10
        for what, array in zip(["images", "labels"], arrays[split]):
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            path = tmp_path / f"{split}_{what}.gz"
            path.write_bytes(gzip.compress(header + array.tobytes()))
            settings.append(archive(f"{split}_{what}", path))
    train, test, description = fetch("dataset=mnist", *settings)
    for split, rows in [("train", train), ("test", test)]:
        images, labels = arrays[split]
        np.testing.assert_array_equal(rows["image"][:, 0], images)
        np.testing.assert_array_equal(rows["label"], labels)
    assert train["image"].shape == (300, 1, 28, 28)
    check_statistics(description, train)


def smooth(seed, height, width):
    """A picture of gentle slopes, as photographs have them: decoders differ most at hard edges."""
    small = Image.fromarray(random(seed, 4, 4, 3))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def planes(picture, mode="RGB"):
    array = np.asarray(picture.convert(mode))
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


# What a folder of PNG files may hold.
PNG = {
    "rgb": lambda picture: picture,
    "palette": lambda picture: picture.convert("P", palette=Image.Palette.ADAPTIVE),
    "gray": lambda picture: picture.convert("L"),
    "bilevel": lambda picture: picture.convert("1"),
    "alpha": lambda picture: picture.convert("RGBA"),
}


def test_png_files_are_read_exactly(fetch, tmp_path):
    pictures = {}
    for split in ["train", "test"]:
        for i, (kind, convert) in enumerate(PNG.items()):
            path = tmp_path / "images" / split / f"class{i % 2}" / f"{kind}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            convert(smooth(i, 23, 17)).save(path, interlace=i == 0)
            pictures[path] = planes(Image.open(path))
    options = ["dataset=image_folder", "dataset.files.archive.urls=[images]"]
    train, test, description = fetch(*options)
    paths = sorted(path for path in pictures if "train" in path.parts)
    np.testing.assert_array_equal(train["image"], [pictures[path] for path in paths])
    assert [description["classes"]["label"][label] for label in train["label"]] == [path.parent.name for path in paths]
    assert train["image"].shape[1:] == (3, 23, 17) and len(test) == len(PNG)
    check_statistics(description, train)


def test_jpeg_files_are_read_as_libjpeg_does(fetch, tmp_path):
    pictures = {}
    for seed in range(4):
        for subsampling in [0, 1, 2]:
            for progressive in [False, True]:
                name = f"{seed}_{subsampling}_{progressive}"
                path = tmp_path / "images" / "train" / "a" / f"{name}.jpeg"
                path.parent.mkdir(parents=True, exist_ok=True)
                smooth(seed, 45, 37).save(path, quality=90, subsampling=subsampling, progressive=progressive)
                pictures[path] = planes(Image.open(path))
    with zipfile.ZipFile(tmp_path / "images.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in pictures:
            for split in ["train", "test"]:
                archive.write(path, f"{split}/a/{path.name}")
    train, test, _ = fetch("dataset=image_folder", "dataset.files.archive.urls=[images.zip]")
    expected = np.array([pictures[path] for path in sorted(pictures)])
    check_near(train["image"], expected)
    np.testing.assert_array_equal(train, test)


def check_near(image, expected):
    """Decoders may round differently, most where colors were stored at half the resolution."""
    difference = np.abs(image.astype(np.int16) - expected)
    assert difference.max() <= 4 and (difference > 2).mean() < 2e-4 and difference.mean() < 0.15


def test_scaling_is_that_of_pillow(fetch, tmp_path):
    for split in ["train", "test"]:
        for i, size in enumerate([(30, 40), (16, 16), (9, 70)]):
            path = tmp_path / "images" / split / "a" / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            smooth(i, *size).save(path)
    options = ["dataset.resize=true", "dataset.size=[16,16]", "dataset.files.archive.urls=[images]"]
    train, _, _ = fetch("dataset=image_folder", *options)
    for i, image in enumerate(train["image"]):
        picture = Image.open(tmp_path / "images" / "train" / "a" / f"{i}.png")
        expected = planes(picture.resize((16, 16), Image.Resampling.BILINEAR))
        assert np.abs(image.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("options", [[], ["dataset.resize=true", "dataset.size=[16,12]"]], ids=["as_is", "scaled"])
@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_an_orientation_is_applied_as_by_pillow(run, tmp_path, ending, options):
    for orientation in range(1, 9):
        folder = tmp_path / f"{orientation}" / "train" / "a"
        folder.mkdir(parents=True)
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        smooth(orientation, 21, 37).save(folder / f"1.{ending}", exif=exif)
        archive = f"dataset.files.archive.urls=['{orientation}']"
        run("fetch-data", *SETTINGS, "dataset=image_folder", "dataset.test=null", archive, *options)
        with Image.open(folder / f"1.{ending}") as picture:
            assert picture.getexif()[ExifTags.Base.Orientation] == orientation
            upright = ImageOps.exif_transpose(picture)
        expected = planes(upright.resize((12, 16), Image.Resampling.BILINEAR) if options else upright)
        image = np.load(tmp_path / "out" / "train.npy")["image"][0]
        assert image.shape == expected.shape
        bound = 4 if ending == "jpg" else 1 if options else 0
        assert np.abs(image.astype(int) - expected).max() <= bound, orientation


def test_color_becomes_gray_as_in_pillow(run, tmp_path):
    folder = tmp_path / "images" / "train" / "a"
    folder.mkdir(parents=True)
    # Each color alone, and noise.
    for i, colors in enumerate([np.eye(3, dtype=np.uint8)[:, None] * 255 + np.zeros((3, 9, 1), np.uint8), random(1, 3, 9, 3)]):
        Image.fromarray(colors).save(folder / f"{i}.png")
    options = ["dataset.test=null", "dataset.channels=1", "dataset.files.archive.urls=[images]"]
    run("fetch-data", *SETTINGS, "dataset=image_folder", *options)
    rows = np.load(tmp_path / "out" / "train.npy")
    np.testing.assert_array_equal(rows["image"], [planes(Image.open(path), "L") for path in sorted(folder.iterdir())])


def test_cifar_10_as_images(fetch, tmp_path):
    classes = "airplane automobile bird cat deer dog frog horse ship truck".split()
    if REAL:
        print(f"the real images: {REAL}")
        path, setting = Path(REAL), f"dataset.files.archive.urls=['file://{REAL}']"
    else:
        print("a stand-in of 60 images; PIPEGRAD_CIFAR10_IMAGES names no archive of the real ones")
        path = tmp_path / "images.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            for number in range(60):
                picture, data = smooth(number, 32, 32), io.BytesIO()
                picture.save(data, "JPEG")
                split = "train" if number < 40 else "test"
                add(tar, f"{split}/{classes[number % 10]}/{number:04}.jpg", data.getvalue())
        setting = archive("archive", path)
    train, test, description = fetch("dataset=cifar10_images", setting)
    with tarfile.open(path) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}
    assert description["classes"]["label"] == classes
    for split, rows in [("train", train), ("test", test)]:
        names = sorted(name for name in files if name.startswith(split))
        np.testing.assert_array_equal(rows["label"], [classes.index(name.split("/")[1]) for name in names])
        check_near(rows["image"], np.array([planes(Image.open(io.BytesIO(files[name]))) for name in names]))
    check_statistics(description, train)
    if REAL:
        assert (len(train), len(test)) == (50000, 10000)
        np.testing.assert_allclose(description["train"]["mean"], [0.4913, 0.4821, 0.4465], atol=1e-3)


@pytest.mark.parametrize("turned", [False, True])
def test_a_thin_image_is_scaled_in_little_memory(tmp_path, turned):
    """By one axis first, 20 000 000 x 1 pixels would be 20 000 000 x 64, of 16 bytes each."""
    size = (1, 20_000_000) if turned else (20_000_000, 1)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\0" * -(-size[0] // 8)) * size[1]
    header = struct.pack(">IIBBBBB", *size, 1, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "images/a").mkdir(parents=True)
    (tmp_path / "images/a/0.png").write_bytes(png)
    options = ["dataset=image_folder", "dataset.files.archive.urls=[images]", "dataset.train=.", "dataset.test=null"]
    command = [BIN / "fetch-data", *SETTINGS, *options, "dataset.size=[64,64]", "dataset.resize=true"]
    limit = (2_000_000_000, 2_000_000_000)
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit)
    )
    assert done.returncode == 0, done.stderr
    assert not np.load(tmp_path / "out/train.npy")["image"].any()
