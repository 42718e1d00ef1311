"""Every kind of document that we say we read, read; every bad one refused with what to do."""

from __future__ import annotations

import os
import signal
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.errors import RagError
from rag.ingest.load import Unreadable, load
from rag.ingest.readers.pdf import reflow
from rag.ingest.readers.reader import Text
from rag.ingest.sandbox import Sandbox
from tests.rag import documents as make


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as reader:
        yield reader


def read(path: Path, sandbox: Sandbox, name: str | None = None) -> list[Text | Unreadable]:
    return list(load(path, name or path.name, sandbox))


def write_file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_word_document_keeps_headings_and_tables(tmp_path: Path, sandbox: Sandbox) -> None:
    """Sections stay sections, so that a citation can name them."""
    (document,) = read(make.docx(tmp_path / "refund.docx"), sandbox)
    assert isinstance(document, Text)
    assert document.title == "Refund policy"
    assert "## Exceptions" in document.text
    assert make.SENTENCE in document.text
    assert "| Pro | 30 |" in document.text


def test_a_presentation_is_a_section_per_slide_with_its_notes(tmp_path: Path, sandbox: Sandbox) -> None:
    """The slide's number and title head its words."""
    (document,) = read(make.pptx(tmp_path / "road.pptx"), sandbox)
    assert isinstance(document, Text)
    assert "## Slide 1: Roadmap" in document.text
    assert "March" in document.text
    assert "Ask Ana first" in document.text


def test_a_pdf_is_a_section_per_page(tmp_path: Path, sandbox: Sandbox) -> None:
    """A citation can name the page."""
    (document,) = read(write_file(tmp_path, "policy.pdf", make.pdf([make.SENTENCE, "Second page."])), sandbox)
    assert isinstance(document, Text)
    assert f"## Page 1\n\n{make.SENTENCE}" in document.text
    assert "## Page 2\n\nSecond page." in document.text


def test_lines_that_the_page_broke_are_joined() -> None:
    """Sentences are whole again, list items stay sandbox."""
    text = "The quick brown fox jumps over the la-\nzy dog and then goes on to sleep for\nan hour.\n- first\n- second"
    assert (
        reflow(text)
        == "The quick brown fox jumps over the lazy dog and then goes on to sleep for an hour.\n- first\n- second"
    )


def test_html_is_read_as_a_person_sees_it(tmp_path: Path, sandbox: Sandbox) -> None:
    """No script, menu, hidden instruction or link target gets in."""
    (document,) = read(write_file(tmp_path, "page.html", make.HTML), sandbox)
    assert isinstance(document, Text)
    assert "Open settings and press reset." in document.text
    assert "## On mobile" in document.text
    for secret in (
        "stealCookies",
        "Menu of links",
        "Ignore all",
        "Unseen",
        "onerror",
        "Imprint",
        "x.example",
    ):
        assert secret not in document.text


def test_a_faq_table_is_a_section_per_question(tmp_path: Path, sandbox: Sandbox) -> None:
    """Semicolons and quotes as spreadsheets write them; other columns go with the answer."""
    (document,) = read(write_file(tmp_path, "faq.csv", make.FAQ), sandbox)
    assert isinstance(document, Text)
    assert "## How do I cancel?\n\nOpen billing; press cancel\nArea: billing" in document.text


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252", "utf-8"])
def test_text_of_any_common_encoding(tmp_path: Path, sandbox: Sandbox, encoding: str) -> None:
    """Umlauts survive what Windows made of them."""
    words = "Rückerstattungen für Großkunden überweisen wir nach Prüfung der Belege."
    (document,) = read(write_file(tmp_path, "a.txt", words.encode(encoding)), sandbox)
    assert isinstance(document, Text)
    assert document.text == words


def test_a_slack_export_is_threads_of_public_channels(tmp_path: Path, sandbox: Sandbox) -> None:
    """Threads together, people by name, joins and private channels left out."""
    (document,) = read(make.slack_export(tmp_path / "export.zip"), sandbox)
    assert isinstance(document, Text)
    assert document.title == "#support, 2024-05"
    assert (
        "Maya Okafor: How do we rotate the API key, @ravi?\n\nravi: Settings > Keys > Rotate."
        in document.text
    )
    assert "layoffs" not in document.text
    assert "joined" not in document.text


def test_a_notion_export_is_its_pages(tmp_path: Path, sandbox: Sandbox) -> None:
    """The inner zip is opened, ids go from the titles, a table comes once, pictures are told."""
    documents = read(make.notion_export(tmp_path / "notion.zip"), sandbox)
    pages = {one.title: one.text for one in documents if isinstance(one, Text)}
    assert pages.keys() == {"Handbook", "FAQ"}
    assert any("Ravi this week" in text for text in pages.values())
    assert not any("copy" in text for text in pages.values())
    assert [one.suffix for one in documents if isinstance(one, Unreadable)] == [".png"]


def test_a_confluence_export_is_its_current_pages(tmp_path: Path, sandbox: Sandbox) -> None:
    """Old versions and drafts are not the space; macros are not words."""
    (document,) = read(make.confluence_export(tmp_path / "space.zip"), sandbox)
    assert isinstance(document, Text)
    assert document.title == "Runbook"
    assert "## Escalation" in document.text
    assert "thirty minutes" in document.text
    assert "Old words" not in document.text


def test_entities_that_point_at_files_are_not_opened(tmp_path: Path, sandbox: Sandbox) -> None:
    """An XML entity cannot read the machine's files."""
    secret = write_file(tmp_path, "secret.txt", "the-secret-word")
    xml = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{secret.as_uri()}">]><hibernate-generic>&e;</hibernate-generic>'
    documents = read(make.zip_file(tmp_path / "x.zip", {"entities.xml": xml}), sandbox)
    assert [type(one) for one in documents] == [Unreadable]
    assert "the-secret-word" not in str(documents)


BAD = [
    ("locked.pdf", make.encrypted_pdf, "is encrypted"),
    ("empty.pdf", lambda: b"", "is empty"),
    ("torn.pdf", lambda: b"%PDF-1.7\n" + os.urandom(3000), "is damaged"),
    ("scan.pdf", lambda: make.pdf(["", ""]), "only images"),
    ("torn.docx", lambda: b"PK\x03\x04" + os.urandom(500), "is damaged"),
    ("old.docx", lambda: b"\xd0\xcf\x11\xe0" + bytes(500), "encrypted or of the old"),
    ("torn.zip", lambda: b"PK\x03\x04" + os.urandom(500), "is damaged"),
    ("photo.png", lambda: b"\x89PNG", "a kind I do not read"),
    ("sheet.xlsx", lambda: b"PK", "Save it anew as .xlsx"),
    ("binary.txt", lambda: os.urandom(5000), "is not text"),
    ("blank.md", lambda: b" \n\n ", "no words"),
    ("script.html", lambda: b"<html><script>run()</script></html>", "no text without its scripts"),
    ("head.csv", lambda: b"Question,Answer\n", "no rows below"),
    ("README", lambda: b"words", "no ending"),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD, ids=[name for name, _, _ in BAD])
def test_a_bad_file_is_refused_with_what_to_do(
    tmp_path: Path, sandbox: Sandbox, name: str, content: object, message: str
) -> None:
    """The sentence names the trouble and ends in something to do."""
    assert callable(content)
    with pytest.raises(RagError, match=message) as error:
        read(write_file(tmp_path, name, content()), sandbox)
    assert str(error.value).count(".") >= 1
    assert len(str(error.value)) < 300


def test_a_500_page_pdf_is_read_whole(tmp_path: Path, sandbox: Sandbox) -> None:
    """Long is not bad: the last page is there."""
    path = write_file(
        tmp_path, "long.pdf", make.pdf([f"Clause {n} holds for part {n}." for n in range(1, 501)])
    )
    (document,) = read(path, sandbox)
    assert isinstance(document, Text)
    assert "## Page 500\n\nClause 500 holds" in document.text


def test_a_200_mb_text_file_is_refused_unread(tmp_path: Path, sandbox: Sandbox) -> None:
    """Its size is told before a byte is read."""
    path = tmp_path / "log.txt"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    with pytest.raises(RagError, match="200 MB and 10 MB is the most"):
        read(path, sandbox)


@pytest.mark.parametrize("name", ["bomb.zip", "bomb.docx"])
def test_a_zip_bomb_stays_packed(tmp_path: Path, sandbox: Sandbox, name: str) -> None:
    """Judged by its directory alone, office formats too."""
    path = make.zip_file(tmp_path / name, {"word/document.xml": bytes(40_000_000)})
    with pytest.raises(RagError, match="zip bomb"):
        read(path, sandbox)


def test_zips_within_zips_share_one_limit_and_end(tmp_path: Path, sandbox: Sandbox) -> None:
    """The third level is refused."""
    inner = make.zip_file(tmp_path / "0.zip", {"a.md": "# A\n\nwords"})
    for level in (1, 2):
        inner = make.zip_file(tmp_path / f"{level}.zip", {"inner.zip": inner.read_bytes()})
    with pytest.raises(RagError, match="zips inside zips"):
        read(inner, sandbox)


def test_a_zip_with_a_link_or_a_password_is_refused(tmp_path: Path, sandbox: Sandbox) -> None:
    """A link in a zip may point anywhere."""
    path = tmp_path / "link.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("notes.md")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(RagError, match="holds links"):
        read(path, sandbox)


def test_one_bad_member_leaves_the_rest_of_a_zip(tmp_path: Path, sandbox: Sandbox) -> None:
    """Names that climb out of the zip are only labels."""
    path = make.zip_file(
        tmp_path / "all.zip", {"../../good.md": "# Good\n\nwords", "bad.pdf": b"%PDF-1.4 no"}
    )
    good, bad = read(path, sandbox)
    assert isinstance(good, Text)
    assert good.member == "good.md"
    assert isinstance(bad, Unreadable)
    assert "damaged" in bad.reason


def test_a_reader_that_hangs_or_dies_is_replaced(tmp_path: Path) -> None:
    """The next file is read by a new one."""
    good = write_file(tmp_path, "good.pdf", make.pdf([make.SENTENCE]))
    with Sandbox(cpu_seconds=0.001) as hasty, pytest.raises(RagError, match="more time or memory"):
        hasty.read("pdf", good, "good.pdf")
    with Sandbox() as sandbox:
        sandbox.read("pdf", good, "good.pdf")
        assert sandbox._child is not None
        sandbox._child.kill()
        sandbox._child.wait()
        with pytest.raises(RagError, match="more time or memory"):
            sandbox.read("pdf", good, "good.pdf")
        assert sandbox.read("pdf", good, "good.pdf")


def test_a_reader_on_a_busy_machine_is_waited_for(tmp_path: Path) -> None:
    """Time is counted by the processor: a reader that is held up is not ended for it, unless nothing moves any more."""
    good = write_file(tmp_path, "good.pdf", make.pdf([make.SENTENCE]))
    with Sandbox(quiet_seconds=0.5) as sandbox:
        sandbox.read("pdf", good, "good.pdf")
        child = sandbox._child
        assert child is not None
        child.send_signal(signal.SIGSTOP)
        with pytest.raises(RagError, match="more time or memory"):
            sandbox.read("pdf", good, "good.pdf")
        assert sandbox.read("pdf", good, "good.pdf")
    with Sandbox() as patient:
        patient.read("pdf", good, "good.pdf")
        child = patient._child
        assert child is not None
        child.send_signal(signal.SIGSTOP)
        waker = threading.Timer(1.2, child.send_signal, [signal.SIGCONT])
        waker.start()
        assert patient.read("pdf", good, "good.pdf")
        assert patient._child is child


def test_readers_can_neither_connect_nor_write_nor_start_programs(tmp_path: Path) -> None:
    """What a broken reader could be made to do, it cannot."""
    import subprocess
    import sys

    code = (
        "import sys, socket, subprocess\nfrom rag.ingest.sandbox_child import confine, forbid\nconfine()\n"
        "sys.addaudithook(forbid)\nheld = []\n"
        "for act in (lambda: socket.create_connection(('127.0.0.1', 9)), lambda: subprocess.run(['true']),"
        f" lambda: open({str(tmp_path / 'x')!r}, 'w').write('y' * 9999), lambda: bytearray(3 << 30)):\n"
        "    try:\n        act()\n    except (PermissionError, OSError, MemoryError) as e: held.append(type(e).__name__)\n"
        "print(held)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert process.stdout.strip() == "['PermissionError', 'PermissionError', 'OSError', 'MemoryError']", (
        process.stderr
    )
