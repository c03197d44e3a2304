import json
from pathlib import Path

import pytest

from mediagen.batch.rows import read_rows
from mediagen.errors import InvalidRequestError
from mediagen.requests import GenerateImageRequest, GenerateVideoRequest


def file(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_each_line_of_a_text_is_a_prompt_and_comments_are_none(tmp_path: Path):
    rows = read_rows(file(tmp_path, "a.txt", "\ufeff# foxes\n a red fox \r\n\n#x\nหมวก 🎩"))
    assert [(row.number, row.line, row.request.prompt) for row in rows] == [(1, 2, "a red fox"), (2, 5, "หมวก 🎩")]
    assert all(isinstance(row.request, GenerateImageRequest) for row in rows)


def test_columns_of_a_table_are_arguments_and_empty_cells_are_absent(tmp_path: Path):
    text = 'prompt, type,duration,aspect_ratio,generate_audio\n"a cat,\nasleep",image,,16:9,\na dog,video,4,,false\n'
    cat, dog = read_rows(file(tmp_path, "a.CSV", text))
    assert cat.request.model_dump(exclude_unset=True) == {"prompt": "a cat,\nasleep", "aspect_ratio": "16:9"}
    assert isinstance(dog.request, GenerateVideoRequest)
    assert dog.request.model_dump(exclude_unset=True) == {
        "prompt": "a dog",
        "duration_seconds": 4,
        "generate_audio": False,
    }
    assert (cat.line, dog.line) == (3, 4)


def test_objects_and_documents_say_what_texts_cannot(tmp_path: Path):
    lines = file(tmp_path, "a.jsonl", '{"prompt": "x", "input_images": ["a.png"]}\n\n"y"\n')
    document = {"defaults": {"image_size": "2K", "model": "m"}, "prompts": ["x", {"prompt": "y", "image_size": "1K"}]}
    whole = file(tmp_path, "a.json", json.dumps(document))
    assert [row.request.model_dump(exclude_unset=True) for row in read_rows(lines)] == [
        {"prompt": "x", "input_images": ["a.png"]},
        {"prompt": "y"},
    ]
    assert [row.request.model_dump(exclude_unset=True) for row in read_rows(whole)] == [
        {"prompt": "x", "image_size": "2K", "model": "m"},
        {"prompt": "y", "image_size": "1K", "model": "m"},
    ]


def test_what_is_said_for_all_gives_way_to_what_a_row_says(tmp_path: Path):
    table = file(tmp_path, "a.csv", "prompt,image_size\nx,\ny,4K\n")
    asked = [row.request.model_dump() for row in read_rows(table, common={"image_size": "2K", "seed": "7"})]
    assert [(values["image_size"], values["seed"]) for values in asked] == [("2K", 7), ("4K", 7)]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.xls", "x", ".txt, .csv, .jsonl, .json"),
        ("a.txt", "# nothing\n\n", "asks for nothing"),
        ("a.txt", b"caf\xe9", "UTF-8"),
        ("a.csv", "prompt,seed\nx,1,2\n", "row 2"),
        ("a.csv", 'prompt\n"x\n', "row"),
        ("a.csv", "prompt,sead\nx,1\n", "sead: unknown argument. Did you mean 'seed'?"),
        ("a.csv", "prompt,type\nx,song\n", "type is 'song'; allowed: image, video"),
        ("a.jsonl", '{"prompt": "x"}\n{"prompt": }\n', "row 2"),
        ("a.jsonl", "[1]\n", "neither a prompt nor an object"),
        ("a.jsonl", f"{'[' * 100_000}\n", "no usable JSON"),
        ("a.json", '{"prompts": {}}', "defaults"),
        ("a.json", '{"prompts": ["x"], "default": {}}', "defaults"),
        ("a.txt", "\n".join("x" for _ in range(10_001)), "at most 10000"),
    ],
)
def test_file_that_cannot_be_made_is_refused_with_where_and_why(tmp_path: Path, name: str, text: str, said: str):
    with pytest.raises(InvalidRequestError) as refused:
        read_rows(file(tmp_path, name, text))
    assert said in refused.value.message
    assert refused.value.field in {"file", "type"}


@pytest.mark.parametrize("name", ["request_id", "output_dir", "max_usd", "dry_run", "force_new"])
def test_what_belongs_to_the_whole_is_refused_in_a_row(tmp_path: Path, name: str):
    with pytest.raises(InvalidRequestError, match=f"row 2: {name} cannot be said for one row"):
        read_rows(file(tmp_path, "a.csv", f"prompt,{name}\nx,1\n"))


def test_all_rows_that_are_wrong_are_named_at_once(tmp_path: Path):
    text = "prompt,count\n" + "".join(f"x,{9 if number % 2 else 1}\n" for number in range(60))
    with pytest.raises(InvalidRequestError) as refused:
        read_rows(file(tmp_path, "a.csv", text))
    assert refused.value.message.startswith(
        "30 of the 60 rows of a.csv cannot be made:\nrow 3: count must be at most 4"
    )
    assert refused.value.message.endswith("… and 10 more.")


def test_missing_file_is_named(tmp_path: Path):
    with pytest.raises(InvalidRequestError, match=r"nowhere\.txt cannot be read: No such file"):
        read_rows(tmp_path / "nowhere.txt")
