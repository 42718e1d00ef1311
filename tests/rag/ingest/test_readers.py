"""A new kind of document is one new file: the registry finds it, reads it confined, and the search finds its words."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rag
from rag.errors import RagError
from rag.ingest.readers import office, registry
from rag.ingest.readers.reader import Reader, Text
from tests.rag import documents as make

RECIPE_READER = '''"""Recipes: a name on the first line, a step on each other."""

from pathlib import Path

from rag.ingest.readers.reader import Reader, Text


def read_recipe(path: Path, name: str) -> list[Text]:
    title, *steps = path.read_text(encoding="utf-8").splitlines()
    return [Text("", title, f"# {title}\\n\\n" + "\\n".join(f"- {step}" for step in steps))]


READERS = (Reader("recipe", "Recipe", read_recipe, (".recipe",), media_types=("text/x-recipe",)),)
'''
ASK = """
import sys
from pathlib import Path
from rag.index import Index
from rag.ingest.readers.registry import find_reader, suffix_of_media_type
from rag.search.embedding import load_embedder
from rag.search.retrieval import retrieve

folder, cache = Path(sys.argv[1]), Path(sys.argv[2])
assert find_reader("soup.recipe").is_confined
assert suffix_of_media_type("text/x-recipe") == ".recipe"
with Index.open(folder / "index", load_embedder(cache)) as index:
    report = index.add([folder / "kitchen"], frozenset({"workspace"}))
    assert not report.problems, report.problems
    print(retrieve(index, "When do the lentils go in?", frozenset({"workspace"}))[0])
"""


def test_a_reader_is_added_with_one_file(tmp_path: Path, embed_cache: Path) -> None:
    """In a copy of the package with one file more, a folder with the new kind is indexed and found."""
    shutil.copytree(Path(rag.__file__).parent, tmp_path / "code" / "rag")
    (tmp_path / "code" / "rag" / "ingest" / "readers" / "recipe.py").write_text(RECIPE_READER)
    (tmp_path / "kitchen").mkdir()
    (tmp_path / "kitchen" / "soup.recipe").write_text(
        "Lentil soup\nChop the onions.\nAdd the lentils after an hour."
    )
    process = subprocess.run(
        [sys.executable, "-c", ASK, str(tmp_path), str(embed_cache)],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "code")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert "Add the lentils after an hour." in process.stdout
    assert "Lentil soup" in process.stdout


def test_reading_an_office_file_loads_no_library_of_tables(tmp_path: Path) -> None:
    """Whoever reads a Word document first does not wait for pandas; a later import of it is not in the way."""
    document = make.docx(tmp_path / "refund.docx")
    code = (
        "import sys; from pathlib import Path; from rag.ingest.readers.office import read_docx;"
        "(text,) = read_docx(Path(sys.argv[1]), 'refund.docx'); assert '| Pro | 30 |' in text.text;"
        "print(sorted({'pandas', 'pdfminer'} & set(sys.modules)))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, str(document)], capture_output=True, text=True, check=False
    )
    assert process.stdout.strip() == "[]", process.stderr


def test_two_readers_may_not_claim_one_suffix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which reader a file goes to must not hang on the order of files."""

    def read(path: Path, name: str) -> list[Text]:
        return []

    monkeypatch.setattr(office, "READERS", (Reader("word", "Word", read, (".pdf",)),))
    registry.load_readers.cache_clear()
    try:
        with pytest.raises(RagError, match=r"'\.pdf' belongs to the reader 'word' already"):
            registry.load_readers()
    finally:
        monkeypatch.undo()
        registry.load_readers.cache_clear()


def test_every_reader_says_what_it_reads() -> None:
    """The sentence for an unknown kind and the file picker name all of them."""
    assert (
        registry.labels()
        == "CSV, DOCX, EML, EPUB, HTML, Markdown, MBOX, MDX, MSG, ODP, ODT, Org, PDF, PPTX, RST, RTF, TXT, XLSX and zip"
    )
    assert {".md", ".pdf", ".zip"} <= set(registry.known_suffixes())
    assert all(reader.suffixes or reader.file_names for reader in registry.load_readers().values())


def test_html_in_a_tables_cells_is_read_as_text() -> None:
    """Articles that a knowledge base exports are quoted to people without their tags."""
    from rag.ingest.readers.text import table_markdown

    table = "id,title,body\n1,Returns,<p>Send it back within <b>30 days</b>.</p><ul><li>box</li><li>slip</li></ul>\n"
    table += "2,Warranty,<p>Two years&nbsp;on motors.</p>\n3,Ports,a < b and <port> stay\n"
    text = table_markdown(table, "kb.csv")
    assert "Send it back within 30 days.\n- box\n- slip" in text
    assert "Two years on motors." in text
    assert "a < b and <port> stay" in text
