"""What cleaning may and may not take from a ticket, and that each row and character is accounted for on the card."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.data.clutter import is_automatic, without_history, without_signature
from finetune.data.import_report import cut_lines, report_lines
from finetune.data.markup import plain
from finetune.data.prepare import clean, prepare
from finetune.data.reading import read_tickets
from finetune.data.store import DatasetStore
from finetune.data.ticket import Ticket, Tickets
from tests.finetune.data.test_bad_files import ROWS, save
from tests.finetune.data.test_import_tables import few, table

COMPLAINT = "The reset mail for my account never arrives, and nobody answers since May."
INTROS = (
    "FYI",
    "Please see below.",
    "Can you take this?",
    "Hi team,\n\nfyi",
    "Bitte übernehmen.",
    "Pour info",
    "see below, thanks",
    "",
)
HEADS = (
    "________________________________\nFrom: Ada <a@b.test>\nSent: Tuesday, March 3, 2026 9:12 AM\nTo: Acme\nSubject: question\n\n",
    "---------- Forwarded message ---------\nFrom: Ada <a@b.test>\nDate: Tue, Mar 3, 2026\nSubject: question\nTo: <h@b.test>\n\n",
    "Begin forwarded message:\n\nFrom: Ada <a@b.test>\nSubject: question\nDate: 3 March 2026\n\n",
    "-----Original Message-----\nFrom: Ada\nSent: Tuesday\nTo: Acme\nSubject: question\n\n",
    "Von: Ada <a@b.test>\nGesendet: Dienstag, 3. März 2026 09:12\nAn: Hilfe\nBetreff: Frage\n\n",
)


@few
@given(intro=st.sampled_from(INTROS), head=st.sampled_from(HEADS))
def test_a_forwarded_mail_keeps_what_it_is_about(intro: str, head: str) -> None:
    """K04: where what stands above says nothing, the mail below is the ticket."""
    text = f"{intro}\n\n{head}{COMPLAINT}\n\nBest regards,\nAda Brook\n\nSent from my iPhone"
    assert COMPLAINT in without_signature(without_history(text))


QUOTES = (
    "> Error: cannot open /var/lib/app\n>   at main.js:12\n> exit code 1",
    "> npm ERR! code 1\n> npm ERR! path /app",
    "> if a > 3 then stop\n> else go on",
    "> rule one: no refunds\n> rule two: ask first",
)


@few
@given(
    quote=st.sampled_from(QUOTES), before=st.sampled_from([COMPLAINT, "The tool prints this when it starts:"])
)
def test_quoted_output_and_rules_stay(quote: str, before: str) -> None:
    """K04: lines that start with > go only below an attribution or where most of the mail is quoted."""
    text = f"{before}\n\n{quote}\n\nWhat does it mean? It worked with version 2.\nWe run it on two machines."
    assert without_history(text) == text


CODE = (
    "My settings are <server><port>8443</port></server> and it stops.",
    "Use <name> and <your-id> in the link, it says. Which one?",
    "for (i=0; i<n && n>2; i++) never ends",
    "When I write <div><Button kind=\"x\" onClick={save}></Button></div> nothing is drawn. With <span>Save</span> it works.",
    "```\n<p>kept</p>\n    <br>\n```\nWhy is this shown as text?",
    "The template {{ user.name }} <b>{{ x }}</b> stays empty in <td v-if=\"ok\">",
    "List<String> is not Map<String, Integer>, says javac",
    "Why does my <div> close too early, and my </div> too?",
    "a &lt;b&gt; tag in the html source",
)  # fmt: skip


@pytest.mark.parametrize("text", CODE)
def test_code_and_placeholders_stay(text: str) -> None:
    """K05: only HTML's own tags are tags, and only in text that is HTML."""
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "<p>Send it back within <b>30 days</b>.</p><ul><li>box</li><li>slip</li></ul>",
            "Send it back within 30 days.\nbox\nslip",
        ),
        ("<p>Two years&nbsp;on motors.</p>", "Two years on motors."),
        (
            "My settings are <br><port>8443</port><br> and it stops",
            "My settings are\n<port>8443</port>\nand it stops",
        ),
        ("<div>Run <pre>```\n  a < b\n```</pre> please</div>", "Run\n```\n  a < b\n```\nplease"),
        ("Hello <b>team</b>, it is <i>slow</i>.", "Hello team, it is slow."),
    ],
)
def test_html_is_cleaned_and_code_in_it_kept(text: str, words: str) -> None:
    """K14, K05: cells of a knowledge base become text; unknown tags and fenced code stand as they are."""
    assert [line.strip() for line in plain(text).split("\n") if line.strip()] == [
        line.strip() for line in words.split("\n")
    ]


PEOPLES = (
    "Automatic reply is sent twice to each of my customers since yesterday. How do I stop it?",
    "Undelivered mail returned to sender: I get this for every invoice I send from your app, please check the sender address.",
    "Out of office replies are not sent when I am on holiday",
    "Automatische Antwort kommt doppelt, warum?",
    "Delivery failed again, can you send it once more?",
    "Your automatic reply says ten days. It has been twenty.",
)


@pytest.mark.parametrize("text", PEOPLES)
def test_people_who_write_about_automatic_mail_stay(text: str) -> None:
    """K25: whoever asks, complains or says what they did is a customer."""
    assert not is_automatic(text)


@few
@given(
    start=st.integers(1000, 9000),
    word=st.sampled_from(["Error E-{} when saving", "room {} is cold", "code {}", "v{}.1 crashes"]),
)
def test_rows_that_differ_by_a_number_all_stay(start: int, word: str) -> None:
    """K08: only the same text is a copy; likeness keeps rows on one side of the split and deletes nothing."""
    rows = tuple(Ticket(f"t{at}", word.format(start + at), "bug", line=at + 2) for at in range(12))
    again = Ticket("t12", rows[0].text, "bug", line=14)
    result = clean(Tickets((*rows, again), "triage"))
    assert result.tickets.rows == rows
    assert [problem.line for problem in result.tickets.problems] == [14]


def file_of_all_sorts(folder: Path) -> Path:
    """A file in which something is cut, dropped, merged and repaired."""
    rows = [[text, label, "open"] for text, label in ROWS]
    rows[3][0] += "\n\nBest regards,\nMaya Patel\nHead of Support"
    rows[4][0] += "\n\nOn Mon, 3 May 2026 at 10:00, Acme <help@acme.test> wrote:\n> Hello,\n> what is it?"
    rows[5][1] = "n/a"
    rows[6][0] = "Automatic reply: holiday"
    rows[7] = list(rows[8])
    rows[9][1] = "Billing"
    return save(folder, "Export of May,,\n" + table(["text", "queue", "state"], rows) + "Total,30,\n")


def test_the_report_accounts_for_every_row_and_character(tmp_path: Path) -> None:
    """Rows in = kept + left out by rule and line; characters by rule; cuts before and after; columns not read."""
    path = file_of_all_sorts(tmp_path)
    card = DatasetStore(str(tmp_path / "store")).add(path, "all-sorts", "me", frozenset({"workspace"}), "")
    report = card.intake
    assert report["rows"] == 32 == report["kept"] + sum(report["left_out"].values())
    assert report["kept"] == card.rows
    assert report["left_out"] == {
        "title lines": 1,
        "no label": 1,
        "automatic replies": 1,
        "exact copies": 1,
        "footers": 1,
    }
    assert report["lines"]["no label"] == [
        path.read_text()
        .split("\n")
        .index(next(line for line in path.read_text().split("\n") if "n/a" in line))
        + 1
    ]
    assert set(report["characters"]) == {"signatures", "quoted history"}
    assert report["unread"] == ["state"]
    assert {cut["rule"] for cut in report["cuts"]} == {"signatures", "quoted history"}
    assert all(cut["size"] == report["characters"][cut["rule"]] for cut in report["cuts"])
    words = " ".join([*report_lines(report), *cut_lines(report), *card.notes])
    for part in (
        "32 rows",
        "no label",
        "Columns not read: state",
        "quoted history",
        "'Billing' counts as 'billing'",
    ):
        assert part in words


def test_cuts_on_the_card_are_redacted_and_go_with_the_rows(tmp_path: Path) -> None:
    """An address in a cut signature never reaches the card; an erased version keeps no text."""
    rows = [
        [f"{text}\n\nRegards,\nAda\nada@acme.test", label, f"Person{at % 6}"]
        for at, (text, label) in enumerate(ROWS)
    ]
    store = DatasetStore(str(tmp_path / "store"))
    card = store.add(
        save(tmp_path, table(["text", "label", "customer"], rows)), "cuts", "me", frozenset({"workspace"}), ""
    )
    assert len(card.intake["cuts"]) == 10
    assert "ada@acme.test" not in str(card.to_json())
    store.forget("Person1", "me")
    assert all(not version.intake.get("cuts") for version in store.versions("cuts") if version.erased)


def test_a_file_that_is_measured_has_the_rows_of_its_dataset(tmp_path: Path) -> None:
    """Reading and preparing give the digest that the store keeps: same cleaning, so the same split."""
    path = file_of_all_sorts(tmp_path)
    store = DatasetStore(str(tmp_path / "store"))
    card = store.add(path, "all-sorts", "me", frozenset({"workspace"}), "")
    assert prepare(read_tickets(path))[0].digest == card.digest
    assert store.tickets(card.digest).columns == card.columns == {"text": "text", "label": "queue"}


FOREIGN_HEADS = (
    "Från: Ada Berg <a@x.example>\nSkickat: den 3 mars 2025 09:12\nTill: Hjälp\nÄmne: Fråga",
    "Fra: Ada Berg <a@x.example>\nSendt: 3. marts 2025 09:12\nTil: Hjælp\nEmne: Spørgsmål",
    "Od: Ada Berg <a@x.example>\nWysłano: poniedziałek, 3 marca 2025 09:12\nDo: Pomoc\nTemat: Pytanie",
    "Od: Ada Berg <a@x.example>\nOdesláno: 3. března 2025 9:12\nKomu: Pomoc\nPředmět: Dotaz",
    "От: Ада Берг <a@x.example>\nОтправлено: 3 марта 2025 г. 9:12\nКому: Помощь\nТема: Вопрос",
    "Kimden: Ada Berg <a@x.example>\nGönderildi: 3 Mart 2025 09:12\nKime: Destek\nKonu: Soru",
    "发件人: Ada Berg <a@x.example>\n发送时间: 2025年3月3日 9:12\n收件人: 帮助\n主题: 问题",
    "Lähettäjä: Ada Berg <a@x.example>\nLähetetty: 3. maaliskuuta 2025 9.12\nVastaanottaja: Apu\nAihe: Kysymys",
    "Feladó: Ada Berg <a@x.example>\nElküldve: 2025. március 3., hétfő 9:12\nCímzett: Segítség\nTárgy: Kérdés",
)
FOREIGN_ATTRIBUTIONS = (
    "pon., 3 mar 2025 o 09:12 Ada Berg <a@x.example> napisał(a):",
    "пн, 3 мар. 2025 г. в 09:12, Ada Berg <a@x.example>:",
    "Ada Berg <a@x.example>, 3 Mar 2025 Pzt, 09:12 tarihinde şunu yazdı:",
    "ma 3.3.2025 klo 9.12 Ada Berg (a@x.example) kirjoitti:",
    "2025年3月3日(月) 9:12 Ada Berg <a@x.example>:",
)


@pytest.mark.parametrize("head", FOREIGN_HEADS)
def test_heads_of_other_languages_are_heads(head: str) -> None:
    """K04: below a request the older mail goes, below "FYI" it is the ticket."""
    assert without_history(f"{COMPLAINT}\n\n{head}\n\nOld words.") == COMPLAINT
    assert COMPLAINT in without_history(f"FYI\n\n{head}\n\n{COMPLAINT}")


@pytest.mark.parametrize("line", FOREIGN_ATTRIBUTIONS)
def test_a_line_with_time_and_address_is_an_attribution_in_any_language(line: str) -> None:
    """K04: above quoted lines; above others it is words of the mail."""
    assert without_history(f"{COMPLAINT}\n\n{line}\n> Old words.\n> And more.") == COMPLAINT
    assert line in without_history(f"{COMPLAINT}\n\n{line}\nWhat does this line of the log mean?")


OUTPUT = (
    "-- \nSELECT id, name\nFROM users\nWHERE id = 7;",
    "From: 10.0.0.1:5060\nTo: 10.0.0.9:5060\nDate: 2025-03-03\nCSeq: 102 INVITE\nSIP/2.0 503",
    "On 2025-03-03 09:12:44 node-3 wrote:\nERROR disk full at /var/lib/gate\nERROR retry in 5 s",
    "From: the door\nTo: the gate\nSubject: what the sign says\nis printed on the box",
    "> 1 row in set\n> Query OK\n> Records: 0\nThat is all that I see.",
    "$ curl -v https://x.example\n> GET / HTTP/1.1\n> Host: x.example\n< HTTP/1.1 502 Bad Gateway",
)


@pytest.mark.parametrize("output", OUTPUT)
def test_logs_code_and_heads_of_protocols_are_no_clutter(output: str) -> None:
    """K04: neither quoted history nor a signature."""
    text = f"{COMPLAINT} This is what I get:\n\n{output}"
    assert without_signature(without_history(text)) == text


SIGNATURES = (
    "Ada Brook | Operations Lead | Acme GmbH\nT +49 30 901820 | www.acme.example",
    "Kind regards\n\nAda Brook, Operations Lead\nAcme GmbH, Kantstr. 1, 10623 Berlin\nTel.: +49 30 901820",
    "Ada Brook\nOperations Lead\nAcme Ltd\nM: +44 7700 900123\nE: ada@acme.example",
    *(
        "Med vänlig hälsning\nAda Berg\nDriftchef",
        "Z poważaniem\nAda Nowak\nKierownik",
        "С уважением,\nАда Берг",
    ),
    *("Thanks & best,\nAda", "Saygılarımla,\nAda Yılmaz", "BR,\nAda Brook", "Terveisin\nAda Berg"),
)


@pytest.mark.parametrize("signature", SIGNATURES)
def test_signatures_without_dashes_go(signature: str) -> None:
    """By a sign-off of many languages, or as a last block of a name with ways to reach it."""
    assert without_signature(f"{COMPLAINT}\n\n{signature}") == COMPLAINT


@pytest.mark.parametrize(
    "end",
    [
        "Please call her back:\n\nAda Brook\nTel. +49 30 901820",
        "Thanks\nAda, Bo and I will wait until noon for the plumber",
        "It should say:\n\nAda Brook\nada@acme.example",
        "Best practice\nThe\nQueue",
    ],
)
def test_what_only_looks_like_a_signature_stays(end: str) -> None:
    """An address that the text announces, a sentence below thanks."""
    assert without_signature(f"{COMPLAINT} {end}") == f"{COMPLAINT} {end}"
