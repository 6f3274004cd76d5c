"""Model files: the same bits back, no code run, and everything that is wrong refused by name."""

import json
import os
import re

import numpy as np
import pytest

from benchmarks.training import mutations
from benchmarks.training.watch import watched
from benchmarks.training.zoo import LARGE, ZOO
from chainrule import errors, nn
from chainrule.nn.builders import described
from chainrule.train import files, json_text, load_model, save_model, tensors

RNG = np.random.default_rng(5)
ABOUT = {"task": "classification", "labels": ["no", "yes"], "preparation": {"means": [0.1, 2.0]}}


def network():
    return nn.Sequential(
        nn.Linear(4, 6, rng=1), nn.BatchNorm(6), nn.Activation("relu"), nn.Dropout(0.25), np.tanh,
        nn.Linear(6, 3, bias=False, dtype="d", rng=2),
    )  # fmt: skip


def arrays_of(model):
    return {**dict(model.named_parameters()), **dict(model.named_state())}


@pytest.fixture(scope="module")
def trained():
    model = network()
    for array in arrays_of(model).values():
        array[...] = RNG.uniform(0.5, 2.0, size=array.shape)
    return model


@pytest.fixture
def folder(tmp_path, trained):
    save_model(trained, tmp_path / "model", ABOUT)
    return tmp_path / "model"


def rewritten(folder, arrays=None, entries=None, **changes):
    """Change the files and make all their checksums fit again, as somebody with intent would."""
    where = folder / "model.json"
    description = json_text.unsealed(where.read_bytes(), where)
    content = (folder / "model.safetensors").read_bytes()
    if arrays is not None:
        content = tensors.to_bytes({**tensors.from_bytes(content, ""), **arrays})
    if entries is not None:
        length = int.from_bytes(content[:8], "little")
        header = entries(json.loads(content[8 : 8 + length]))
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        content = len(text).to_bytes(8, "little") + text + content[8 + length :]
    files.write(folder / "model.safetensors", content)
    description["sha256"]["model.safetensors"] = files.sha256(content)
    if arrays is not None:
        found = tensors.header(content, "")
        description["arrays"] = {k: [list(s), d.name] for k, (s, d) in found.items()}
    description = {**description, **changes}
    files.write(where, json_text.sealed(description))
    return folder


def refused(folder, *parts):
    with pytest.raises(errors.FileDamaged) as caught:
        load_model(folder)
    assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_the_model_comes_back_bit_for_bit(folder, trained):
    assert sorted(os.listdir(folder)) == ["model.json", "model.safetensors"]
    model, about = load_model(folder)
    assert about == ABOUT
    expected = arrays_of(trained)
    assert arrays_of(model).keys() == expected.keys()
    for path, array in arrays_of(model).items():
        assert tensors.same_bits(array, expected[path]), path
    x = RNG.normal(size=(5, 4)).astype(np.float32)
    assert tensors.same_bits(model(x), trained(x))
    assert described(model) == described(trained)


def test_a_model_takes_the_place_of_a_model_and_of_nothing_else(folder, trained, tmp_path):
    other = nn.Linear(2, 2)
    save_model(other, folder)
    assert load_model(folder)[0].weight.shape == (2, 2)
    assert os.listdir(tmp_path) == ["model"]
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"other things than a model \(notes.txt\)"):
        save_model(trained, folder)
    assert load_model(folder)[0].weight.shape == (2, 2)


def test_a_model_that_was_being_replaced_still_loads(folder):
    folder.rename(folder.with_name(".replaced-model"))  # killed here
    assert load_model(folder)[1] == ABOUT


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_every_flipped_byte_is_seen(folder, name):
    path = folder / name
    content = path.read_bytes()
    for at in range(0, len(content), 11):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
        refused(folder, name)


def test_missing_files_are_named(folder):
    (folder / "model.safetensors").unlink()
    refused(folder, "model.safetensors is missing")
    refused(folder.parent / "nowhere", "there is no folder")


# --- changed with intent: all checksums fit ---------------------------------------------------


def test_other_formats_and_versions_are_refused(folder):
    refused(rewritten(folder, version=2), "version 2", "reads version 1")
    refused(rewritten(folder, version=1, format="pickle"), "'pickle'")


def test_a_wrong_shape_or_dtype_is_refused_by_name(folder):
    refused(rewritten(folder, {"layers[0].bias": np.zeros(7, "f")}),
            "'layers[0].bias' has shape (7,); the model needs (6,)")  # fmt: skip
    refused(rewritten(folder, {"layers[0].bias": np.zeros(6)}),
            "'layers[0].bias' is float64; the model needs float32")  # fmt: skip


def test_an_array_too_many_or_too_few_is_refused_by_name(folder):
    refused(rewritten(folder, {"layers[9].extra": np.zeros(2)}), "'layers[9].extra' belongs to no")
    model = {"kind": "Linear", "config": {"inputs": 4, "outputs": 6}}
    refused(rewritten(folder, model=model), "'weight' is missing")


MODELS = {
    "unknown kind": ({"kind": "os.system", "config": {"command": "true"}}, "os.system"),
    "unknown option": ({"kind": "Linear", "config": {"input": 3, "outputs": 2}}, "input"),
    "wrong type": ({"kind": "Linear", "config": {"inputs": "3", "outputs": 2}}, "Linear"),
    "huge": ({"kind": "Linear", "config": {"inputs": 10**15, "outputs": 1}}, "1000000000000000"),
    "huge product": ({"kind": "Linear", "config": {"inputs": 60_000, "outputs": 60_000}},
                     "(60000, 60000) are more than the file holds"),
    "many": ({"kind": "MLP", "config": {"inputs": 60_000, "hidden": [60_000] * 1000,
                                        "outputs": 1}}, "more than the file holds"),
    "no config": ({"kind": "Linear"}, "kind"),
    "a function": ({"kind": "function", "config": {"name": "system"}}, "system"),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_descriptions_that_describe_no_model_are_refused(folder, name):
    model, part = MODELS[name]
    refused(rewritten(folder, model=model), "model.json", part)


def with_entry(**changes):
    def change(header):
        header["layers[0].bias"] = {**header["layers[0].bias"], **changes}
        return header

    return change


def twice(header):
    text = json.dumps(header)
    key = json.dumps("layers[0].bias")
    again = json.dumps(header["layers[0].bias"])
    return (text[:-1] + f", {key}: {again}}}").encode()


HEADERS = {
    "huge": (with_entry(shape=[10**15]), "needs 4e+15 bytes, and has 24"),
    "huge offsets": (with_entry(shape=[10**15], data_offsets=[0, 4 * 10**15]), "overlap"),
    "overflow": (with_entry(shape=[2**62, 4]), "needs 7.3787e+19 bytes"),
    "negative": (with_entry(shape=[-6]), "no list of sizes"),
    "fraction": (with_entry(shape=[6.0]), "no list of sizes"),
    "truth": (with_entry(shape=[True, 6]), "no list of sizes"),
    "many axes": (with_entry(shape=[1] * 40 + [6]), "no list of sizes"),
    "unknown dtype": (with_entry(dtype="OBJECT"), "'OBJECT'"),
    "dtype of another type": (with_entry(dtype=["F32"]), "none of F64"),
    "twice": (twice, "'layers[0].bias' stands twice"),
    "no table": (lambda header: [], "no table"),
    "metadata": (lambda header: {**header, "__metadata__": {"a": "b"}}, "metadata"),
    "extra": (with_entry(code="x"), "no dtype, shape and data_offsets"),
    "cut": (lambda header: b"{", "not the JSON"),
    "deep": (lambda header: b"[" * 100_000, "nested too deeply"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_lie_are_refused(folder, name):
    change, part = HEADERS[name]
    refused(rewritten(folder, entries=change), "model.safetensors", part)


def test_a_header_longer_than_the_file_is_refused(folder):
    path = folder / "model.safetensors"
    for length in (2**63, 10**12, 99_999_999):
        content = length.to_bytes(8, "little") + path.read_bytes()[8:]
        with pytest.raises(errors.FileDamaged, match="is cut, or no safetensors file"):
            tensors.from_bytes(content, path)


def test_loading_draws_nothing(folder, monkeypatch):
    monkeypatch.setitem(nn.init.NAMED, "he", pytest.fail)
    load_model(folder)


@pytest.mark.parametrize("name", [*ZOO, *LARGE])
def test_every_kind_of_model_comes_back_bit_for_bit(name, tmp_path):
    model = {**ZOO, **LARGE}[name]()
    save_model(model, tmp_path / "model")
    again, expected = arrays_of(load_model(tmp_path / "model")[0]), arrays_of(model)
    assert again.keys() == expected.keys()
    assert all(tensors.same_bits(again[path], expected[path]) for path in expected)


def test_every_kind_that_a_file_may_hold_is_in_the_zoo():
    kinds = re.findall(r'"kind": "(\w+)"', json.dumps([described(m()) for m in ZOO.values()]))
    large = {type(make()).__name__ for make in LARGE.values()}
    assert set(nn.BUILDERS) <= {*kinds, *large}


# --- a small run of benchmarks/training/mutations.py -----------------------------------------


def test_mutated_files_give_clear_errors_and_run_no_code():
    counts = mutations.proof(0, 200)["outcomes"]
    assert counts["refused"] > 150 and sum(counts.values()) == 200


def test_the_audit_hook_sees_code_and_writing():
    with watched() as seen:
        exec("pass")
        open(os.devnull).close()
        open(os.devnull, "w").close()
    assert seen["exec"] and seen["open to write"] == 1
