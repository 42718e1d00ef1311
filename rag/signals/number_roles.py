"""What plainly stands beside a number tells what it counts, in ten languages: "150 for each", "sur 240", "各500件".

Covers the kinds that decide between a prompt, a tune and a small model (labels, examples, examples a label, items of an
evaluation, tokens, money and calls a month) where the words leave no choice; None everywhere else, where a trained
reader decides. Pure. Checked against the labelled numbers of rag/data/reading in docs/decisions.d/reading-numbers.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from rag.signals.quantities import Quantity
from rag.signals.shares import counts_wrong

_CLASS = (
    r"(?:(?:sub-?)?class(?:es)?|labels?|intents?|categor(?:y|ies)|queues?|tags?|topics?|buckets?|folders?|bins?|grades?|kinds|sorts|causes?|motives?|"
    r"outcomes|statuses|departments?|wards|chapters|codes|types?|reasons?|themes?|priorities|severities|"
    r"diseases|defects|verdicts|destinations|"
    r"\w*(?:kategorien?|klassen?|themen|arten|gruppen|stufen|ordnern?|abteilungen|warteschlangen|postfächern?|gründen?|ursachen|typen|labels|etiketten|fächern?|sachgebieten?|"
    r"zuständigkeiten|rubriken)|"
    r"motifs?|catégories?|thèmes?|services|files d['’]attente|types?|niveaux|rubriques?|étiquettes?|dossiers|causes?|classes|natures|sujets|"
    r"motivos?|categor[ií]as?|clases?|temas?|tipos?|colas?|departamentos?|etiquetas?|niveles|causas?|áreas?|carpetas?|secciones|grupos?|especies|"
    r"classes|assuntos?|filas?|rótulos?|níveis|setores|seções|"
    r"categorie|classi|motivi|tipi|temi|argomenti|codici|etichette|livelli|reparti|cause|gruppi|uffici|"
    r"categorie[ëe]n|klassen|onderwerpen|soorten|redenen|afdelingen|wachtrijen|groepen|types|mappen|niveaus|oorzaken|bakken|"
    r"категори\w+|класс\w*|тем(?:ы|ам|ах)?|тип\w*|вид(?:ы|ов|ам|а)|очеред\w+|отдел\w*|причин\w*|мет(?:ки|ок|кам)|групп\w*|рубрик\w*|разрядов|уровн\w+)\b"
)
_CLASS_CJK = r"\s?(?:つの|個の|个|种|種類?の?)?(?:カテゴリ|クラス|分類|部署|ラベル|区分|段階|種類|原因|意図|理由|类|類|種|类别|部门|标签|队列|主题|等级|档|级|种类|意图|科室|分类)"
_LABELLED = (
    r"(?:labell?ed|annotated|tagged|approved|validated|verified|curated|checked|reviewed|rated|accepted|coded|confirmed|decided|graded|corrected|"
    r"hand-?\w+ed|human-?\w+|gold|examples?|samples?|pairs?|verified|sorted|classified|triaged|signed-?off|"
    r"(?:ge|be)\w+(?:ete?n?|te?n?)\b(?<!genutzt)|gelabelte?n?|annotierte?n?|freigegebene?n?|bestätigte?n?|beispielen?|"
    r"étiqueté\w*|annoté\w*|validé\w*|approuvé\w*|vérifié\w*|relu\w*|classé\w*|exemples?|"
    r"etiquetad\w+|anotad\w+|revisad\w+|aprobad\w+|clasificad\w+|validad\w+|ejemplos?|corregid\w+|"
    r"rotulad\w+|aprovad\w+|classificad\w+|exemplos?|corrigid\w+|"
    r"etichettat\w+|annotat\w+|approvat\w+|verificat\w+|revisionat\w+|corrett\w+|controllat\w+|classificat\w+|esempi|"
    r"gelabelde?|geannoteerde?|gecontroleerde?|goedgekeurde?|voorbeelden|"
    r"размеченн\w+|проверенн\w+|одобренн\w+|утвержд[её]нн\w+|пример\w*|образц\w+|вручную)"
)
_LABELLED_CJK = (
    r"(?:ラベル|承認済|確認済|チェック済|正解|分類済|添削済|标注|核对|审核|批准|标好|已标|校对|人工|样本|例)"
)
_EACH_AFTER = (  # "150 for each", "300 pro Grund": the noun, where there is one, has to be one of the labels
    r"(?:\b(?:each|apiece)(?=\s*(?:[.,;:!?)]|$|(?:and|but|from|by|so|now|then)\b))|\b(?:for|in|of|to|under|from) (?:each|every)\b(?: (?!(?:by|from|and|with|of|in|on|so|but)\b)(?P<n1>[\w\-]+))?|"
    r"\bper (?P<n2>(?!cent)[\w\-]+)|\bjeweils\b|\b(?:pro|je) (?P<n3>[^\W\d]\w+)|\bchacune?\b|\b(?:par|pour chaque|dans chaque) (?P<n4>[\w\-]+)|"
    r"\bcada un[oa]\b|\b(?:de|en|em|para|a|por) cada(?: (?P<n5>[^\W\d]\w+))?|\bpor (?P<n6>[^\W\d]\w+)|\bcada\b(?=\s*[.,;]|$)|\bciascun[oa]?\b|"
    r"\b(?:per|di|in) (?:ogni|ciascun[oa]?) (?P<n7>\w+)|\b(?:per|van) elke? (?P<n8>\w+)|\bper stuk\b|\b(?:van )?elk\b(?=\s*[.,;]|$)|"
    r"\b(?:на|в|по) кажд\w+(?: (?P<n9>\w+))?|\bкаждого\b)"
)
_EACH_BEFORE = (
    r"(?:\beach (?:with|has|have|having|holds?|of (?:them|which) has) (?:about |around |some |roughly |~)?$|\bje(?:weils)? (?:etwa |rund |ca\.? )?$|"
    r"\b(?:per|pro|par|por|para cada|por cada|per ogni|(?:pour|dans) chaque|für jede\w*|in jede\w*|voor elke?) (?P<n1>[\w\-]+)"
    r"(?: (?:we have|there are|liegen|haben wir|gibt es|il y a|nous avons|hay|tenemos|há|temos|ci sono|abbiamo|zijn er|hebben we))? ?:? ?(?:about |around |etwa |rund |environ |unos |unas |cerca de |circa |ongeveer |около )?$|"
    r"\bcada (?:un[oa]|qual) (?:con|com|tiene|tem) $|\b(?:chacune?|ciascun[oa]|elk) (?:avec|con|met|de) $|\bпо (?:~|около )?$|\bкажд\w+ (?:\w+ )?(?:по )?$|"
    r"(?:各|每(?:个|一?类|种|类别|个类别|个标签|个主题|个队列|个部门)|(?:クラス|カテゴリ|意図|分類|種類|部署)ごとに|1(?:クラス|カテゴリ|種類|分類)(?:あたり|につき)|各\w{1,6}?)(?:约|大约|有|都有|各有|約|に|は|で)*\s?$)"
)
_NOT_ITEMS = (
    r"\s?-?(?:[\w\-]+\s){0,2}?(?:tokens?|words?|characters?|chars?|lines?|pages?|seconds?|secs?|minutes?|hours?|days?|weeks?|months?|ms\b|fields?|points?|bucks|dollars?|"
    r"euros?|€|\$|%|％|percent|prozent|wörter\w*|zeichen|seiten|sekunden|minuten|mots|pages|secondes|palabras|páginas|segundos|minutos|parole|pagine|secondi|woorden|"
    r"слов\w*|страниц\w*|секунд\w*|минут\w*|字|秒|分钟|分間|ページ|页|円|元|美元|ドル|token|GPUs?\b)"
)
_SORTS = re.compile(
    r"\b(?:sort\w*|label\w*|tag\w*|rout\w*|classif\w*|categor\w*|assign\w*|triage\w*|group\w*|verteil\w*|zuordn\w*|einsortier\w*|einteil\w*|class\w*|tri(?:er|e|ons)\b|rang\w*|"
    r"clasific\w*|repart\w*|etiquet\w*|distribu\w*|smist\w*|sortear|indel\w*|label\w*|verdeel\w*|sorteer\w*|классиф\w*|распредел\w*|сортир\w*|разн\w+)|分け|分類|振り分|分类|分到|归类|分配",
    re.IGNORECASE,
)
_I = re.IGNORECASE
_SMALL_NUMBER = (
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf|"
    r"deux|trois|quatre|cinq|six|sept|huit|neuf|dix|douze|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|doce|dois|duas|três|quatro|sete|oito|nove|dez|doze|"
    r"due|tre|quattro|cinque|sei|sette|otto|nove|dieci|dodici|twee|drie|vijf|zes|zeven|negen|tien|twaalf|две|три|четыре|пять|шесть|семь|восемь|девять|десять|двенадцать)\b"
)
_TIME = re.compile(
    r"(?:days?|weeks?|months?|years?|hours?|minutes?|seconds?|quarters?|tag|woche|monat|jahr|stunde|jour|semaine|mois|an|année|heure|d[ií]a|semana|mes|mês|"
    r"año|ano|hora|giorno|settimana|mese|anno|ora|dag|week|maand|jaar|uur|день|недел\w+|месяц|год|час|tickets?|calls?|mails?|requests?|users?|agents?|customers?|persons?|pages?)$",
    _I,
)
_CLASS_WORD = re.compile(rf"\b{_CLASS}|{_CLASS_CJK}", _I)
_AFTER_EACH = re.compile(rf"[^.;!?\n。；]{{0,48}}?{_EACH_AFTER}", _I)
_BEFORE_EACH = re.compile(_EACH_BEFORE, _I)
_AFTER_ZUTSU = re.compile(r"\s?(?:件|通|条|個|份)?ずつ")
_AFTER_NOT_ITEMS = re.compile(_NOT_ITEMS, _I)
_AFTER_CLASS = re.compile(
    rf"\s?-?(?:(?!{_LABELLED})[^\W\d][\w\-]*\s){{0,2}}?{_CLASS}|{_CLASS_CJK}|\s?-?(?:way|class|label)\b", _I
)
_BEFORE_INTO = re.compile(
    r"(?:\b(?:into|to|onto|among|across|in|auf|en|dans|entre|entre|em|in|tra|fra|op|over|на|по|между)\s(?:one of |eine[rn]? von |(?:the |our |its |these |unsere |den |les |nos |los |las |nuestr\w+ |le |i |gli |de |onze |os |as )?)|->\s?|=>\s?|→\s?|:\s)$",
    _I,
)
_AFTER_NOUN = re.compile(
    r"\s(?!(?:years?|days?|weeks?|months?|hours?|minutes?|languages?|countries|digits?|fields?|lines|sentences|words|points|columns|people|agents|jahren?|tagen?|wochen|sprachen|felder|ans|jours|langues|años|días|idiomas|anni|giorni|lingue|jaar|dagen|talen|лет|дней|языков)\b)(?:[a-zà-ÿа-яё\-]+\s){0,2}?[a-zà-ÿа-яё\-]{3,}",
    _I,
)
_AFTER_LABELLED_CJK = re.compile(
    rf"\s?(?:件|通|条|份|個|个)?(?:的|の|都|已|が|は|以上)*\w{{0,4}}?{_LABELLED_CJK}"
)
_BEFORE_LABELLED_CJK = re.compile(rf"{_LABELLED_CJK}[^。；！？\d]{{0,12}}$")
_EVAL_AFTER = re.compile(
    r"\s?-?(?:[\w\-]+\s){0,2}?(?:test(?:s|ed|fälle\w*|items?)?\b(?! ?ing)|evals?\b|evaluation|held-?out|holdout|benchmark|audit\b|were (?:scored|judged|evaluated)|scored\b|evaluated\b|judged\b|"
    r"geprüft(?:en)? fällen|de prueba|de test\b|di prova|di test|de teste|testgevallen|тестовых|контрольных|проверочных)|\s?(?:件|条|份|通|问|題|题)?(?:の)?(?:テスト|評価|评测|测试|验证集|検証)",
    _I,
)
_EVAL_BEFORE = re.compile(
    r"\b(?:(?:scored|graded)(?= \d{3})|evaluated|judged|tested (?:it )?(?:on|with|against)|measured (?:it )?(?:on|over)|test set (?:of|is|has|with)|n\s?=|benchmark of|eval(?:uation)? (?:of|on|set of)|sample of|"
    r"geprüft (?:an|auf|bei)|getestet (?:an|auf|mit)|testé\w* sur|évalué\w* sur|mesuré\w* sur|probad\w+ (?:en|con|sobre)|evaluad\w+ (?:en|con|sobre)|medid\w+ (?:en|sobre)|testad\w+ em|avaliad\w+ em|"
    r"testat\w+ su|valutat\w+ su|provat\w+ su|getest op|gemeten op|gecontroleerd op|проверил\w* на|протестировал\w* на|измерил\w* на)\s(?:~|about |roughly |etwa |unos |unas |circa |около )?$",
    _I,
)
_PERCENT_ON = re.compile(
    r"(?:\d\s?(?:%|％|percent|prozent|pour ?cent|por ?ciento|per ?cento|procent|процент\w*)|\bF1\b[^.;]{0,12})[^.;!?\n。；\d]{0,34}?\b(?:on|of|over|out of|across|sur|auf|bei|von|an|sobre|su|op|van|bij|на|из|(?<=% )(?:de|di|en|em|in))\s"
    r"(?:(?:our|the|a|an|my|unser\w*|den|nos|notre|un|una|nuestr\w*|last|real|des|les|le|la|los|las|os|as|onze|de|di|dei)\s)*~?$",
    _I,
)
_EVAL_CJK_BEFORE_SHARE = re.compile(
    r"\s?(?:件|条|份|通|题|問|个|個|例)(?:中|の|のうち|で|上|里|を評価|で評価|测|评)*[^。；！？\d]{0,10}?\d+(?:\.\d+)?\s?[%％]"
)
_TOKENS = re.compile(r"\s?-?(?:[\w\-]+\s){0,3}?(?:tokens?|toks|токен\w*|トークン|词元)", _I)
_PROMPT_NEAR = re.compile(r"\b(?:system )?prompt\w*|プロンプト|提示词|промпт", _I)
_AFTER_RAW = re.compile(
    r"\s?(?:[^\W\d][\w'’\-]*\s){0,3}?(?:unlabell?ed|un-?annotated|unsorted|unchecked|untagged|w/o (?:labels?|ratings?)|without (?:any )?(?:labels?|ratings?)|unbeschriftet\w*|ungelabelt\w*|ohne labels?|"
    r"non étiqueté\w*|sans étiquettes?|sin etiquet\w+|sem rótulos?|não rotulad\w+|senza etichett\w+|non etichettat\w+|ongelabeld\w*|zonder labels?|неразмеченн\w+|без разметки)\b|"
    r"\s?(?:件|条|份|通)?(?:の|的)?(?:未標註|未标注|没标|未ラベル|ラベルなし)",
    _I,
)
_PRETRAINS = re.compile(
    r"pre-?train|from scratch|continued|foundation|vortrain|from zero|von (?:grund auf|null)|à partir de zéro|desde cero|do zero|da zero|с нуля|ゼロから|从零|从头|事前学習|预训练|\bbase model",
    _I,
)
_DOCUMENTS = re.compile(
    r"\b(?:docs?|documents?|handbook|rule ?book|manuals?|wiki|pages?|notes|polic\w+|articles?|faqs?|procedures?|knowledge base|altogether|in total|all of it|everything|concatenated|"
    r"handbuch|satzung|ordnung|zusammen|insgesamt|seiten|manuel|règlement|au total|documents|manual\w*|reglamento|en total|documentos|manuale|regolamento|in tutto|in totaal|handboek|reglement|"
    r"документ\w*|справочник\w*|инструкц\w*|всего)\b|マニュアル|規程|文書|資料|手册|文档|文件|共|总共",
    _I,
)
_GPUS = re.compile(
    r"\s?x?\s?(?:[\w\-]+\s)?(?:h100|h200|a100|b200|v100|l40s?|tpus?|gpus?|grafikkarten|видеокарт\w*|ускорител\w*|张?加速卡|张?显卡|枚?のGPU|基のGPU|台のGPU)s?\b",
    _I,
)
_MONEY = re.compile(r"[$€£¥]")
_MONEY_AFTER = re.compile(
    r"\s?(?:bucks|dollars?|dólares|dollari|euros?|usd|eur|chf|pounds?|доллар\w*|евро|рублей|ドル|円|美元|美金|元|欧元|€|\$)",
    _I,
)
_PER_MONTH = re.compile(
    r"[^.;!?\n。；\d]{0,16}?(?:(?:\b(?:a|per|each|every|im|pro|par|al|ao|por|in de|per|в)|/)\s?(?:month|mo\b|monat|mois|mes\b|mês|mese|maand|месяц)|monthly|monatlich|mensuel\w*|mensual\w*|mensa(?:is|l)|mensili?|maandelijks|ежемесячно|毎月|/月|每月|一个月|ひと月)",
    _I,
)
_MONTH_BEFORE = re.compile(
    r"(?:monthly|monatlich\w*|mensuel\w*|mensual\w*|mensal\w*|mensil\w*|maandelijks\w*|每月|月に|毎月|每个月|月額|в месяц)[^.;!?\n。；\d]{0,18}$",
    _I,
)


def plain_kinds(text: str, quantities: Sequence[Quantity]) -> list[str | None]:
    """The kind of each quantity (one of rag/evaluation/messages.py, KINDS) where the words beside it leave no choice.

    The numbers inside a share ("2 em cada 9") are left to the share.
    """
    kinds = [
        None if _in_a_share(quantity, quantities) else _first_kind(text, quantity) for quantity in quantities
    ]
    if "per_class" in kinds and "classes" not in kinds:
        _add_classes(text, quantities, kinds)
    return kinds


def _in_a_share(quantity: Quantity, quantities: Sequence[Quantity]) -> bool:
    return not quantity.is_share and any(
        one.is_share and one.start <= quantity.start and quantity.end <= one.end for one in quantities
    )


def _first_kind(text: str, quantity: Quantity) -> str | None:
    before, after = _beside(text, quantity)
    return next(filter(None, (rule(text, quantity, before, after) for rule in _RULES)), None)


def _beside(text: str, quantity: Quantity) -> tuple[str, str]:
    """The words before and after within the sentence; a comma does not end it."""
    before = re.split(r"[;!?\n。；！？]|\.\s", text[max(0, quantity.start - 60) : quantity.start])[-1]
    after = re.split(r"[;!?\n。；！？]|\.(?:\s|$)", text[quantity.end : quantity.end + 70])[0]
    return before, after


def _raw(text: str, quantity: Quantity, before: str, after: str) -> str | None:
    """What nobody labelled is no example: "3,000 is the unlabelled pile"."""
    return "other" if _AFTER_RAW.match(after) else None


def _share(text: str, quantity: Quantity, before: str, after: str) -> str | None:
    if not (quantity.is_share or quantity.percent):
        return None
    if quantity.is_share:
        return "score" if counts_wrong(text, quantity.start, quantity.end) is not None else None
    return None


def _money(text: str, quantity: Quantity, before: str, after: str) -> str | None:
    unit = _MONEY_AFTER.match(after)
    if not (unit or _MONEY.search(text[quantity.start : quantity.end])):
        return None
    rest = after[unit.end() :] if unit else after
    return "cost_month" if _PER_MONTH.match(rest) or _MONTH_BEFORE.search(before) else None


def _tokens(text: str, quantity: Quantity, before: str, after: str) -> str | None:
    if not _TOKENS.match(after) or quantity.percent or _PROMPT_NEAR.search(before[-25:] + after[:40]):
        return None
    if quantity.value >= 2e9:
        return "pretrain_tokens"
    is_base = _PRETRAINS.search(text) is not None
    return (
        "kb_tokens" if not is_base and (quantity.value >= 1e5 or _DOCUMENTS.search(before + after)) else None
    )


def _gpus(text: str, quantity: Quantity, before: str, after: str) -> str | None:
    return "gpus" if _GPUS.match(after) and quantity.value >= 1 else None


def _per_class(text: str, quantity: Quantity, before: str, after: str) -> str | None:
    if _no_count(text, quantity, after) or quantity.value < 2 or _AFTER_CLASS.match(after):
        return None
    if _AFTER_ZUTSU.match(after):
        return "per_class"
    match = _BEFORE_EACH.search(before) or _AFTER_EACH.match(after)
    if match is None or re.search(r"\d", match[0]):
        return None
    noun = next(filter(None, match.groupdict().values()), None)
    rest = text[: quantity.start] + text[quantity.end :]
    if noun is None:
        return "per_class" if _CLASS_WORD.search(rest) or _SORTS.search(rest) else None
    if re.fullmatch(_CLASS, noun, _I):
        return "per_class"
    stem = re.escape(noun[: max(3, len(noun) - 2)])
    counts_them = re.search(rf"(?:\d|{_SMALL_NUMBER})[\w\s\-]{{0,24}}?\b\w*{stem}", rest, _I)
    return "per_class" if counts_them and len(noun) > 2 and not _TIME.match(noun) else None


def _classes(text: str, quantity: Quantity, before: str, after: str) -> str | None:
    if _no_count(text, quantity, after) or not 2 <= quantity.value <= 500 or quantity.value % 1:
        return None
    into = _BEFORE_INTO.search(before) and _SORTS.search(text) and _AFTER_NOUN.match(after)
    return "classes" if into or _AFTER_CLASS.match(after) else None


def _evaluation(text: str, quantity: Quantity, before: str, after: str) -> str | None:
    year = 1990 <= quantity.value <= 2035 and text[quantity.start : quantity.end].isdigit()
    if _no_count(text, quantity, after) or quantity.value < 10 or year:
        return None
    match = _PERCENT_ON.search(text[max(0, quantity.start - 80) : quantity.start]) or _EVAL_AFTER.match(after)
    if re.fullmatch(r"\d+\s?b", text[quantity.start : quantity.end], _I) or re.match(r"\s?[bB]\b", after):
        return None  # the size of a model
    return "eval_n" if match or _EVAL_BEFORE.search(before) or _EVAL_CJK_BEFORE_SHARE.match(after) else None


def _examples(text: str, quantity: Quantity, before: str, after: str) -> str | None:
    if _no_count(text, quantity, after) or quantity.value < 2:
        return None
    return "examples" if _AFTER_LABELLED_CJK.match(after) or _BEFORE_LABELLED_CJK.search(before) else None


def _no_count(text: str, quantity: Quantity, after: str) -> bool:
    """Whether it is a share, money or a measure, so that it counts no items."""
    money = _MONEY.search(text[quantity.start : quantity.end]) or _MONEY_AFTER.match(after)
    return bool(
        quantity.is_share or quantity.percent or money or _AFTER_NOT_ITEMS.match(after) or quantity.value % 1
    )


_RULES: tuple[Callable[[str, Quantity, str, str], str | None], ...] = (
    _raw, _share, _money, _tokens, _gpus, _per_class, _classes, _evaluation, _examples,
)  # fmt: skip


def _add_classes(text: str, quantities: Sequence[Quantity], kinds: list[str | None]) -> None:
    """Beside "150 for each", the one small number that counts a thing counts the labels."""
    for number, quantity in enumerate(quantities):
        _, after = _beside(text, quantity)
        counts_things = _AFTER_NOUN.match(after) and not _no_count(text, quantity, after)
        is_free = kinds[number] is None and not _in_a_share(quantity, quantities)
        if is_free and counts_things and 2 <= quantity.value <= 300:
            kinds[number] = "classes"
            return
