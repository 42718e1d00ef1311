"""What columns of ticket files are called, in eighteen languages, and which names are never a queue. Pure.

Names are plain: no case, no accents, any separator a space. Within a field the better names come first.
"""

from __future__ import annotations

import re
import unicodedata

NAMES: dict[str, tuple[str, ...]] = {
    "text": (
        *("text", "ticket text", "ticket", "message", "body", "ticket body", "description text", "description"),
        *("plain body", "body text", "question", "content", "query", "utterance", "request", "prompt", "input"),
        *("instruction", "comment", "issue", "message body", "email body", "details", "anfrage"),
        *("beschreibung", "nachricht", "inhalt", "frage", "anliegen", "meldung", "texte", "corps", "contenu"),
        *("descriptif", "demande", "descripcion", "mensaje", "contenido", "cuerpo", "consulta", "texto"),
        *("descricao", "mensagem", "conteudo", "pergunta", "testo", "descrizione", "messaggio", "contenuto"),
        *("richiesta", "domanda", "tekst", "omschrijving", "beschrijving", "bericht", "inhoud", "vraag"),
        *("本文", "内容", "説明", "問い合わせ内容", "お問い合わせ内容", "質問", "詳細", "メッセージ"),
        *("tresc", "opis", "wiadomosc", "tresc zgłoszenia", "beskrivning", "meddelande", "arende", "beskrivelse", "melding"),
        *("henvendelse", "kuvaus", "viesti", "popis", "zprava", "dotaz", "leiras", "uzenet", "acıklama", "aciklama", "mesaj"),
        *("icerik", "описание", "сообщение", "текст", "текст обращения", "вопрос", "обращение"),
        *("描述", "问题描述", "正文", "消息", "问题", "내용", "설명", "문의", "문의 내용", "문의내용", "메시지"),
    ),
    "label": (
        *("label text", "label name", "intent name", "category name", "class name", "queue name"),
        *("label", "queue", "category", "intent", "class", "team", "group", "department", "ticket group"),
        *("assigned team", "assignment group", "assigned group", "support group", "topic", "product area"),
        *("group id", "component", "components", "component s", "ticket type", "type", "issue type", "issuetype", "ticket category"),
        *("tag", "labels", "tags", "categories", "topics"),
        *("kategorie", "abteilung", "warteschlange", "thema", "gruppe", "bereich", "zustandiges team", "fachbereich"),
        *("categorie", "file d attente", "equipe", "service concerne", "groupe", "departement", "sujet de la demande"),
        *("categoria", "cola", "departamento", "equipo", "grupo", "area", "tema", "fila", "setor", "equipe"),
        *("coda", "reparto", "gruppo", "squadra", "argomento", "afdeling", "wachtrij", "onderwerpgroep", "groep"),
        *("カテゴリ", "カテゴリー", "分類", "部署", "キュー", "担当部署", "種別", "ラベル"),
        *("kategoria", "dział", "zespoł", "kolejka", "kategori", "avdelning", "grupp", "afdeling", "osasto", "luokka"),
        *("oddeleni", "fronta", "skupina", "osztaly", "departman", "birim", "kuyruk", "категория", "отдел", "очередь", "группа"),
        *("类别", "分类", "部门", "队列", "小组", "분류", "카테고리", "부서", "담당부서", "유형"),
    ),
    "answer": (
        *("answer", "reply", "response", "agent reply", "agent response", "completion", "output", "chosen"),
        *("resolution", "target", "solution", "agent answer"),
        *("antwort", "losung", "reponse", "respuesta", "solucion", "resposta", "solucao", "risposta"),
        *("soluzione", "antwoord", "oplossing", "回答", "返信", "解決策", "対応内容"),
        *("odpowiedz", "svar", "losning", "løsning", "vastaus", "odpoved", "reseni", "valasz", "cevap", "yanıt", "yanit"),
        *("ответ", "решение", "回复", "答复", "解决方案", "답변", "답변 내용", "답변내용"),
    ),
    "customer": (
        *("customer", "customer id", "requester", "requester id", "requester email", "customer email"),
        *("user", "user id", "email", "account", "account id", "client", "company", "contact", "sender", "from"),
        *("reporter", "reporter email", "caller", "caller id", "contact id", "account name", "customer name"),
        *("kunde", "kundennummer", "kundin", "melder", "anforderer", "absender", "client", "demandeur", "emetteur"),
        *("cliente", "solicitante", "remitente", "requerente", "remetente", "richiedente", "mittente", "klant"),
        *("klantnummer", "aanvrager", "afzender", "melder", "顧客", "顧客id", "お客様", "依頼者", "差出人", "会社名"),
        *("zgłaszajacy", "klient", "nadawca", "kund", "avsandare", "afsender", "avsender", "asiakas", "lahettaja", "zakaznik"),
        *("zadatel", "odesilatel", "ugyfel", "musteri", "gonderen", "клиент", "заявитель", "отправитель"),
        *("客户", "客户id", "发件人", "申请人", "고객", "작성자", "문의자", "from address", "sender address"),
    ),
    "thread": (
        *("thread", "thread id", "conversation", "conversation id", "session id", "thread ts"),
        *("problem id", "followup source id", "parent id", "konversation", "hilo", "conversazione", "スレッド"),
    ),
    "id": (
        *("id", "ticket id", "ticket number", "number", "key", "issue key", "case id", "case number", "casenumber"),
        *("nr", "nummer", "ticketnummer", "numero", "n", "no", "numero de ticket", "vorgangsnummer", "vorgangsnr", "vorgang", "fallnummer", "ticketnr", "ticket nr"),
        *("番号", "チケット番号", "チケットid"),
        *("numer", "numer zgłoszenia", "nr zgłoszenia", "arendenummer", "sagsnummer", "saksnummer", "cislo", "номер"),
        *("编号", "工单号", "번호"),
    ),
    "created_at": (
        *("created at", "created", "created on", "date", "created date", "createdate", "opened at", "opened"),
        *("timestamp", "received at", "time", "submitted at", "date created", "creation date", "date opened"),
        *("received", "submitted", "sent at", "open date", "created time", "sys created on", "datetime"),
        *("created timestamp", "create date", "create time", "creation time", "created date time", "opened date", "date submitted"),
        *("submitted on", "submission date", "start time", "sent", "sent on", "date sent", "received on", "date received"),
        *("erstellt am", "erstellt", "datum", "eroffnet am", "eingegangen am", "angelegt am", "erstellungsdatum", "eingangsdatum", "eingang", "erstellungszeit", "meldedatum"),
        *("cree le", "date de creation", "ouvert le", "recu le", "creado", "creado el", "fecha"),
        *("fecha de creacion", "abierto el", "criado em", "data", "data de criacao", "aberto em", "creato il"),
        *("data di creazione", "aperto il", "data creazione", "aangemaakt op", "aangemaakt", "geopend op"),
        *("aanmaakdatum", "作成日", "作成日時", "日付", "受付日", "受付日時", "起票日"),
        *("data utworzenia", "data zgłoszenia", "utworzono", "skapad", "skapad den", "oprettet", "oprettet den", "opprettet"),
        *("dato", "luotu", "paivamaara", "vytvoreno", "datum vytvoreni", "letrehozva", "datum", "olusturma tarihi", "tarih"),
        *("дата создания", "создано", "дата", "创建时间", "创建日期", "提交时间", "日期", "작성일", "등록일", "생성일", "날짜"),
    ),
    "subject": (
        *("subject", "title", "summary", "short description", "headline", "ticket subject", "email subject"),
        *("betreff", "titel", "kurzbeschreibung", "zusammenfassung", "objet", "titre", "sujet", "resume"),
        *("asunto", "titulo", "resumen", "assunto", "resumo", "oggetto", "titolo", "riepilogo", "onderwerp"),
        *("samenvatting", "件名", "タイトル", "題名", "要約"),
        *("temat", "tytuł", "amne", "rubrik", "emne", "tittel", "aihe", "otsikko", "predmet", "nazev", "targy"),
        *("konu", "baslık", "baslik", "тема", "заголовок", "标题", "主题", "제목"),
    ),
}  # fmt: skip
PEOPLE = (
    *("requester name", "customer name", "name", "agent", "agent name", "assignee", "assigned to", "owner"),
    *("contact name", "full name", "requester", "customer", "reporter", "caller", "from name", "author"),
    *("first name", "last name", "vorname", "nachname", "bearbeiter", "ansprechpartner", "sachbearbeiter", "kontaktperson", "melder", "demandeur", "prenom", "nom", "solicitante"),
    *("nombre", "requerente", "nome", "richiedente", "aanvrager", "naam", "kunde", "cliente", "klant", "assigne"),
    *("担当者", "氏名", "お名前"),
    *("zgłaszajacy", "imie i nazwisko", "namn", "navn", "nimi", "jmeno", "nev", "isim", "musteri", "имя", "фио", "клиент"),
    *("заявитель", "姓名", "客户", "이름", "고객", "작성자", "담당자", "from name", "sender name", "username"),
)  # fmt: skip
GIVEN = ("text", "label", "answer", "customer", "thread", "id", "created_at", "subject")

FIRST_CHOICE = frozenset(
    (
        *(
            "label text",
            "label name",
            "intent name",
            "category name",
            "class name",
            "queue name",
            "label",
            "queue",
        ),
        *(
            "intent",
            "class",
            "warteschlange",
            "file d attente",
            "cola",
            "fila",
            "coda",
            "wachtrij",
            "キュー",
            "ラベル",
        ),
    )
)
LAST_CHOICE = frozenset(
    (
        "ticket type",
        "type",
        "issue type",
        "issuetype",
        "tag",
        "labels",
        "tags",
        "categories",
        "topics",
        "種別",
    )
)


def label_tier(name: str) -> int:
    """0 for names that say queue and nothing else, 1 for category, team and the like, 2 for types and tags,
    3 for names that only hold such a word. Columns of one tier that differ are for a person to choose from."""
    rank = name_rank("label", name)
    if rank is None or rank >= 1_000:
        return 3
    forms = set(name_forms(name))
    return 0 if forms & FIRST_CHOICE else 2 if forms & LAST_CHOICE else 1


_LIST_NAMES = frozenset(("tags", "tag", "labels", "categories", "topics", "components", "component s", "etiquetas", "etiquettes"))  # fmt: skip


def is_list_name(name: str) -> bool:
    """Whether the name says that a row may have several of it, as tags and labels."""
    return bool(_LIST_NAMES & {form.removeprefix("ticket ") for form in name_forms(name)})


NEVER_LABEL = frozenset(
    """state status flag priority severity urgency impact gender sex language lang locale country region city channel
    source origin via satisfaction rating score csat nps sla escalated resolved closed open age month weekday year day
    hour version browser platform os device timezone spam public private active enabled verified vip split fold set
    thumbs feedback sentiment read hasattachment attachment
    zustand prioritat dringlichkeit geschlecht sprache land kanal quelle bewertung
    etat statut priorite urgence genre sexe langue pays canal origine
    estado prioridad urgencia genero sexo idioma pais origen fuente
    prioridade urgencia idioma pais origem situacao
    stato priorita urgenza genere sesso lingua paese canale origine
    prioriteit urgentie geslacht taal land kanaal bron
    状態 ステータス 優先度 緊急度 性別 言語 国 チャネル priorytet stan jezyk kraj kanał prioritet tilstand prioriteetti tila
    priorita stav jazyk zeme oncelik durum dil ulke приоритет статус состояние язык страна 优先级 状态 性别 语言 渠道
    우선순위 상태 언어 국가 채널""".split()  # noqa: SIM905 - a list of words reads best as words
)
"""Words of columns that say how a ticket stands, not where it goes."""

ROLES = frozenset(
    ("role", "author role", "author type", "sender", "sender type", "sender role", "from type", "direction", "speaker",
     "message direction", "author kind", "created by type", "user role", "participant", "participant type", "written by")
)  # fmt: skip
"""Columns that say who wrote a message, where a file has a row for each message of a conversation."""
BY_CUSTOMER = frozenset(
    """customer user end-user end_user enduser requester client contact inbound incoming lead visitor human kunde cliente
    in received""".split()  # noqa: SIM905 - a list of words reads best as words
)
BY_TEAM = frozenset(
    """agent admin staff support assistant bot outbound outgoing employee operator teammate rep representative system
    mitarbeiter agente out sent""".split()  # noqa: SIM905
)


_ENVELOPE = frozenset(
    ("fields", "properties", "attributes", "data", "payload", "source", "ticket", "source body")
)
_TICKETS = frozenset(("ticket", "case", "issue", "incident", "zgłoszenie", "arende", "工单", "vorgang"))
_ENDINGS = ("display value", "displayvalue", "name", "value", "title", "text", "label")  # fmt: skip


def plain_name(name: str) -> str:
    """The name without case, accents and separators: `Catégorie`, `ticketGroup` are `categorie`, `ticket group`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(name))
    words = words.replace("ß", "ss")
    bare = "".join(ch for ch in unicodedata.normalize("NFKD", words) if unicodedata.category(ch) != "Mn")
    bare = unicodedata.normalize("NFKC", bare)
    return re.sub(r"[\W_]+", " ", bare).strip().casefold()


def name_forms(name: str) -> tuple[str, ...]:
    """The ways to read a column's name, whole first: without envelopes (`fields.x`), without `.display_value`."""
    parts = _inner_parts(name)
    inner = " ".join(parts)
    forms = [plain_name(name), inner]
    first, _, rest = inner.partition(" ")
    if first in _TICKETS and rest not in ("", "name"):
        forms.append(rest)
    if len(parts) > 1 and parts[-1] in _ENDINGS:
        forms.append(" ".join(parts[:-1]))
    return tuple(dict.fromkeys([*forms, re.sub(r" \d{1,2}$", "", inner)]))


def _inner_parts(name: str) -> list[str]:
    parts = [plain_name(part) for part in str(name).split(".")]
    while len(parts) > 1 and parts[0] in _ENVELOPE:
        parts = parts[1:]
    return parts


def is_never_label(name: str) -> bool:
    """Whether the name says state, priority, gender, language, a flag or the like: no queue unless it is asked for."""
    words = " ".join(_inner_parts(name)).split()
    return bool(words) and (
        words[-1] in NEVER_LABEL or words[0] in NEVER_LABEL or words[0] in ("is", "has", "was")
    )


def name_rank(field: str, name: str) -> int | None:
    """How well a column's name tells the field: 0 is the best spelling, None says nothing.

    The whole name before its last words (`Assigned Team`), those before its first (`description_long`).
    """
    spellings = NAMES[field]
    best: int | None = None
    whole = "" if field == "label" else plain_name(name).removesuffix(" name")
    for form in name_forms(name):
        if form == whole and form != plain_name(name):
            continue  # `requester.name` is a person's name, no customer
        if form in spellings:
            rank = spellings.index(form)
        elif field in ("text", "label", "subject", "answer") and (
            rank_of_part := _part_rank(form, spellings)
        ):
            rank = rank_of_part
        else:
            continue
        best = rank if best is None else min(best, rank)
    return best


_OPENERS = frozenset(
    """description message body text comment question content category team queue group department intent topic label
    beschreibung nachricht kategorie abteilung descripcion mensaje categoria descrizione messaggio categorie texte
    omschrijving bericht afdeling subject betreff""".split()  # noqa: SIM905 - a list of words reads best as words
)
"""Words that tell a field where they open a longer name; `ticket` and `issue` open everything."""


def _part_rank(form: str, spellings: tuple[str, ...]) -> int | None:
    """1,000 and more for a name that ends like a spelling, 2,000 for one that starts so, else None."""
    words = form.split()
    if len(words) < 2 or words[-1] in ("id", "at", "on", "date", "time", "count", "number", "url", "email"):
        return None
    if words[-1] in spellings:
        return 1_000 + spellings.index(words[-1])
    return 2_000 + spellings.index(words[0]) if words[0] in _OPENERS and words[0] in spellings else None
