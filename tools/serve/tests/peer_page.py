"""The page at /, in Debian's headless Chromium; what it shows against NumPy and the server's own answers."""

import json
import os
import urllib.parse

import numpy as np
import onnx
import pytest
from browser import CHROMIUM, Browser
from onnx import helper
from peers import ROOT, onnx_runtime, shell, with_tools
from PIL import Image
from serving import Server, save, save_add

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
# A name that would be markup, and has to be escaped in an address.
MARKUP = "<img src=x onerror=alert(1)>"

pytestmark = pytest.mark.skipif(not CHROMIUM and not os.environ.get("CI"), reason="no chromium: apt-get install chromium")


def add_features(path, inputs, target):
    """Writes the metadata that `export` does."""
    model = onnx.load(path)
    features = {"version": 1, "inputs": inputs, "target": target}
    model.metadata_props.add(key="pipegrad.features", value=json.dumps(features))
    onnx.save(model, path)
    return path


def save_picture(path):
    """Probabilities of red, green and blue: the mean of each channel over the sum of the means."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("ReduceSum", ["means", "axis"], ["sum"], keepdims=1),
        helper.make_node("Div", ["means", "sum"], ["label"]),
    ]
    axis = onnx.numpy_helper.from_array(np.array([1]), "axis")
    save(path, nodes, [("image", "FP32", ("n", 3, 8, 8))], [("label", "FP32", ("n", 3))], [axis])
    image = {"kind": "number", "name": "image", "shape": [3, 8, 8]}
    return add_features(path, [image], {"name": "label", "shape": [3], "classes": ["red", "green", "<b>blue</b>"]})


def save_table(path):
    """price = size + 10 if the color is blue, 20 if it is red."""
    nodes = [helper.make_node("MatMul", ["features", "w"], ["price"])]
    w = onnx.numpy_helper.from_array(np.array([[1], [10], [20]], np.float32), "w")
    save(path, nodes, [("features", "FP32", ("n", 3))], [("price", "FP32", ("n", 1))], [w])
    color = {"kind": "category", "name": MARKUP, "categories": ["blue", "red"], "unseen": "error"}
    return add_features(path, [{"kind": "number", "name": "size", "shape": []}, color], {"name": "price", "shape": []})


def save_entropy(folder):
    shell("gen-data rows=2000 --to npy | entropy | train --quiet -o run trainer.max_epochs=2 > events.ndjson", folder)
    environment = os.environ | {"PATH": with_tools(), "ORT_DYLIB_PATH": str(onnx_runtime())}
    shell("pipegrad export run -o entropy.onnx", folder, environment)
    return folder / "entropy.onnx"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    models = [
        save_entropy(folder),
        save_picture(folder / "picture.onnx"),
        save_table(folder / "table.onnx"),
        save_add(folder / f"{MARKUP}.onnx"),
    ]
    with Server(*models) as server:
        yield server


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def open_page(browser, server):
    """Opens the page at a model; at the end it must have had no problem, and asked nobody else."""
    pages = []

    def open_page(model, **options):
        page = browser.page(f"{server.url}/#{urllib.parse.quote(model)}/1", **options)
        pages.append(page)
        page.wait(f"document.querySelector('h2').textContent === {json.dumps(model)}")
        return page

    yield open_page
    for page in pages:
        assert page.problems() == []
        assert [url for url in page.requests() if not url.startswith((server.url, "data:", "blob:"))] == []


def choose(page, form):
    page.evaluate(f"[...document.querySelectorAll('.segmented label')].find((it) => it.innerText === '{form}').click()")


def infer(server, model, **tensors):
    inputs = [
        {"name": name, "datatype": "FP32", "shape": array.shape, "data": array.ravel().tolist()}
        for name, array in tensors.items()
    ]
    status, _, body = server.get(f"/v2/models/{model}/infer", json.dumps({"inputs": inputs}).encode())
    assert status == 200, body
    return json.loads(body)["outputs"]


def test_sliders_keep_the_sum_and_show_the_prediction_beside_the_entropy(open_page, server):
    page = open_page("entropy")
    probabilities = "[...document.querySelectorAll('.slider input')].map((it) => +it.value)"
    for key, shares in [("End", [1, *[0] * 7]), ("Home", [0, *[1 / 7] * 7]), ("ArrowRight", [0.001, *[0.999 / 7] * 7])]:
        page.evaluate("document.querySelector('.slider input').focus()")
        page.key(key)
        shares = np.array(shares)
        page.wait(f"Math.abs({probabilities}[7] - {shares[7]}) < 2e-3 && Math.abs({probabilities}[0] - {shares[0]}) < 1e-6")
        assert np.allclose(page.evaluate(probabilities), shares, atol=2e-3)
        numbers = page.evaluate("[...document.querySelectorAll('.slider output')].map((it) => +it.textContent)")
        assert np.allclose(numbers, shares, atol=6e-4)
        present = shares[shares > 0]
        exact = max(0, -(present * np.log(present)).sum())
        predicted = infer(server, "entropy", probs=np.float32(shares)[None])[0]["data"][0]
        page.wait(f"Math.abs(+document.querySelector('.answer .big').textContent - {predicted}) < 2e-4")
        assert abs(float(page.text(".answer dd")) - exact) < 1e-4
    page.evaluate("(it => { it.value = '2'; it.dispatchEvent(new Event('change')) })(document.querySelector('.answer select'))")
    assert abs(float(page.text(".answer dd")) - exact / np.log(2)) < 1e-4


def test_pictures_are_scaled_and_sent_as_the_model_was_trained(open_page, tmp_path):
    page = open_page("picture")
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
    large = Image.fromarray(pixels).resize((64, 64), Image.NEAREST)
    # Only the middle of a wide picture is seen; its edges are white.
    wide = Image.new("RGB", (96, 64), "white")
    wide.paste(large, (16, 0))
    wide.save(tmp_path / "wide.png")
    page.set_files("#picture", tmp_path / "wide.png")
    page.wait("document.querySelectorAll('.bars li').length === 3")
    names = page.evaluate("[...document.querySelectorAll('.bars .label')].map((it) => it.textContent)")
    shares = page.evaluate("[...document.querySelectorAll('.bars .value')].map((it) => parseFloat(it.textContent) / 100)")
    means = pixels.reshape(-1, 3).mean(0)
    expected = dict(zip(["red", "green", "<b>blue</b>"], means / means.sum(), strict=True))
    assert np.allclose(shares, [expected[name] for name in names], atol=5e-3)
    assert shares == sorted(shares, reverse=True) and page.text(".result .big") == names[0]
    (tmp_path / "text.png").write_bytes(b"no picture")
    page.set_files("#picture", tmp_path / "text.png")
    assert "no picture" in page.wait("document.querySelector('.problem').innerText")


def test_a_camera_is_watched_until_it_is_stopped(open_page):
    page = open_page("picture")
    camera = "document.querySelector('.drop button')"
    page.evaluate(f"{camera}.click()")
    page.wait("document.querySelector('.bars')")
    page.evaluate(f"{camera}.click()")
    page.wait(f"{camera}.innerText === 'Camera'")


def test_a_table_has_a_box_for_each_column(open_page):
    page = open_page("table")
    assert page.evaluate("[...document.querySelectorAll('.columns label')].map((it) => it.textContent)") == ["size", MARKUP]
    page.evaluate("document.querySelector('.columns input').select()")
    page.type("2.5")
    page.key("Enter")
    page.wait("document.querySelector('.result .big').innerText === '12.5000'")
    page.evaluate("(it => { it.value = 'red'; it.dispatchEvent(new Event('change', { bubbles: true })) })(document.querySelector('.columns select'))")
    page.wait("document.querySelector('.result .big').innerText === '22.5000'")
    page.evaluate("document.querySelector('.columns input').select()")
    page.type("two")
    page.key("Enter")
    page.wait("!document.querySelector('.columns').checkValidity()")
    assert page.text(".result .big") == "22.5000"


def test_any_model_can_be_asked_in_json(open_page, server):
    page = open_page(MARKUP)
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    request = json.loads(page.evaluate("document.querySelector('textarea').value"))
    assert [(it["name"], it["shape"]) for it in request["inputs"]] == [("a", [1, 4]), ("b", [1, 4])]
    request["inputs"][0]["data"] = [1, 2, 3, 4]
    page.evaluate(f"document.querySelector('textarea').value = {json.dumps(json.dumps(request))}")
    page.evaluate("document.querySelector('form.tensor button').click()")
    answer = json.loads(page.wait("document.querySelector('.result pre').textContent"))
    assert answer["outputs"][0]["data"] == [1, 2, 3, 4]
    # The command beside it does the same.
    command = page.evaluate("document.querySelector('details pre').textContent")
    assert json.loads(shell(f"{command} -sS", ROOT)) == answer
    page.evaluate("document.querySelector('textarea').value = '{'; document.querySelector('form.tensor button').click()")
    page.wait("document.querySelector('.problem').textContent.includes('JSON')")


def test_load_is_shown_as_it_is(open_page, server):
    page = open_page("table")
    rows = np.zeros((4, 3), np.float32)
    before = json.loads(server.get("/v2/models/table/stats")[2])["model_stats"][0]
    for _ in range(20):
        infer(server, "table", features=rows)
    numbers = "Object.fromEntries([...document.querySelectorAll('.numbers div')].map((it) => it.innerText.split('\\n')))"
    requests = before["inference_stats"]["success"]["count"] + 20
    page.wait(f"{numbers}.requests >= {requests}")
    shown = page.wait(f"({numbers}.p50 !== '–' && {numbers}.p99 !== '–') && {numbers}")
    assert shown["p50"].endswith("ms") and float(shown["requests/s"].replace(",", "")) >= 0
    assert page.evaluate("document.querySelector('#models .line').getAttribute('d').length") > 0


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_phones_and_readers_of_screens(open_page, width, scheme):
    if not AXE.exists() and not os.environ.get("CI"):
        pytest.skip("no axe-core: npm ci")
    for model in ["entropy", "picture", "table", MARKUP]:
        page = open_page(model, width=width, prefers_color_scheme=scheme)
        page.evaluate(AXE.read_text() + "; 0")
        found = page.evaluate(
            "axe.run().then(({ passes, violations }) => [passes.length,"
            " violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])])"
        )
        assert found[0] > 10 and found[1] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_models_are_chosen_by_keyboard(open_page):
    page = open_page("entropy")
    page.evaluate("document.querySelector('#models li:nth-child(3) a').focus()")
    page.key("Enter")
    page.wait("document.activeElement.tagName === 'H2'")
    assert page.evaluate("document.querySelectorAll('[aria-current]').length") == 1


def test_a_key_is_asked_for_and_stays_in_the_tab(browser, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("ann:of-a-test\n")
    keys.chmod(0o600)
    with Server(save_add(tmp_path / "add.onnx"), f"serve.api_keys={keys}") as server:
        page = browser.page(server.url)
        page.wait("document.activeElement.id === 'key-value'")
        page.type("another")
        page.key("Enter")
        page.wait("document.querySelector('#key-note').textContent.includes('not know')")
        page.wait("!document.querySelector('#key').hidden && document.activeElement.value === ''")
        page.type("of-a-test")
        page.key("Enter")
        page.wait("document.querySelector('h2').textContent === 'add'")
        page.call("Page.reload")
        page.wait("document.querySelector('h2').textContent === 'add'")
        assert page.evaluate("document.querySelector('#key').hidden && localStorage.length + document.cookie.length") == 0


def test_no_page_without_the_setting(tmp_path):
    with Server(save_add(tmp_path / "add.onnx"), "serve.page=false") as server:
        assert [server.get(path)[0] for path in ["/", "/page/main.js", "/openapi.json"]] == [404, 404, 200]
