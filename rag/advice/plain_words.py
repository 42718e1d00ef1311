"""Reads a few phrases that the trained readers miss, and corrections that replace an earlier value.

Ten languages where the words are short. Covers a model from scratch, permission, rules of behaviour, models to learn from, "300, not 30", "facts, not tone",
"everybody may read everything". Pure. Does not decide what a message is about (rag/advice/conversation.py).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any

from rag.signals.number_roles import plain_kinds
from rag.signals.quantities import Quantity, find_quantities
from rag.signals.schema import Signals

_I = re.IGNORECASE
FACTS_FINE = re.compile(
    r"\b(?:facts?|answers?|contents?) (?:are|is) (?:all )?(?:right|fine|ok|okay|correct|true)\b|inhaltlich (?:richtig|gut|ok)"
    r"|(?:faits|réponses) sont (?:justes|exact\w+|correct\w*)|(?:datos|respuestas) son correct\w+",
    _I,
)
CORRECTS = re.compile(
    r"^\W*(?:no|nope|wrong|sorry|oops|actually|correction|wait|hold on|hm+|whoa|nein|non|não|nee|нет|pardon|perdón|scusa|desculp\w+)\b|\b(?:i meant|i mean|not (?:what|that)|instead of|rather than|"
    r"it'?s not|it is not|isn'?t|in fact|my mistake|i was wrong|correct(?:ion| myself)|typo|counted wrong|misread|new figures|eigentlich|sondern|vertippt|en fait|je me suis tromp\w+|en realidad|me equivoqu\w+|in realtà|"
    r"mi sono sbagliat\w|na verdade|enganei|eigenlijk|vergist\w*|ошиб(?:ся|лась)|опечатка)\b|不是|じゃなく|ではなく|間違え|訂正|写错|更正|а не",
    _I,
)
_PERMISSION = r"(?:agreed|approved|signed|cleared|ok(?:ay)?ed|consented|granted|authori[sz]ed|given (?:us )?(?:consent|permission)|gave (?:us )?(?:consent|permission))"
_GRANTS = re.compile(
    rf"\b(?:legal|privacy|dpo|data protection (?:officer|team)|compliance|(?:works|ethics) (?:council|board|committee)|customers?|patients?|clients|users|everybody|everyone|they|ministry|board|court|union|parents|participants)\b[^.?!;]{{0,40}}\b{_PERMISSION}\b"
    r"|\bwe (?:now )?(?:have|got) (?:the |their |written )?(?:consent|permission|approval|legal basis)\b|\b(?:permission|consent|approval|legal basis)(?: forms?| from \w+)* (?:is|are|was|were|has been|have been) (?:there|given|granted|in|back|signed|settled|obtained)\b"
    r"|\b(?:rechtsabteilung|datenschutz\w*|betriebsrat|jurist\w*|kunden|patient\w*)\b[^.?!;]{0,40}\b(?:zugestimmt|freigegeben|genehmigt|eingewilligt|unterschrieben)\b|\beinwilligung\w* (?:liegt|liegen) vor\b"
    r"|\b(?:juridique|dpo|clients?|patients?)\b[^.?!;]{0,40}\b(?:donné (?:leur |son )?accord|consenti|validé|autorisé|signé)\b|\b(?:legal|jurídico|clientes|pacientes)\b[^.?!;]{0,40}\b(?:aprob\w+|autoriz\w+|consint\w+|firm(?:ó|aron|ado)|assin\w+|consent\w+)\b"
    r"|^\W*(?:ya |já )?(?:lo |nos )?(?:han )?autoriz(?:aron|ado|aram|ou)\b|\b(?:legale|clienti|pazienti)\b[^.?!;]{0,40}\b(?:approvato|autorizzato|firmato|acconsentito)\b|\b(?:juridische zaken|klanten|patiënten)\b[^.?!;]{0,40}\b(?:akkoord|toestemming (?:gegeven|verleend)|getekend)\b"
    r"|\b(?:юрист\w*|клиент\w*|пациент\w*)\b[^.?!;]{0,40}\b(?:разрешил\w*|согласовал\w*|подписал\w*|дали согласие)\b|(?:法務|同意|許可)[^。？]{0,12}(?:得ました|取れました|もらいました|下りました|済み)|(?:法务|客户|用户)[^。？]{0,10}(?:同意了|批准了|已同意|已批准|签了)",
    _I,
)
_REFUSES = re.compile(
    r"\bno (?:legal basis|consent|permission)\b|\b(?:legal|privacy|dpo|compliance)\b[^.?!;]{0,30}\b(?:refused|said no|has not (?:agreed|approved)|hasn'?t (?:agreed|approved)|won'?t (?:agree|allow)|forbids?)\b|\bnobody (?:was asked|consented|agreed)\b"
    r"|\bohne (?:einwilligung|rechtsgrundlage)\b|\bkeine (?:einwilligung|rechtsgrundlage)\b|\blegal no (?:ha|dio)\b[^.?!;]{0,20}\b(?:permiso|autoriz\w+|aprob\w+)\b|\bsin (?:consentimiento|permiso|base legal)\b|\bsans (?:accord|consentement|base légale)\b"
    r"|\bjuridische zaken (?:is niet|gaat niet) akkoord\b|\bgeen (?:toestemming|grondslag)\b|\bsem (?:consentimento|autorização|base legal)\b|\bsenza (?:consenso|base giuridica|autorizzazione)\b|\bбез согласия\b|\bсогласия нет\b|同意(?:を得て|が)(?:いません|いない|ありません|ない)|没有(?:授权|同意|法律依据)|法务没(?:同意|批准)",
    _I,
)
_DENIED = re.compile(
    r"\b(?:not|never|no|n'?t|nicht|yet to|until|before|if|once|pas|sin|sem|non|niet|не)\b", _I
)
_FALLS_SHORT = re.compile(
    r"\b(?:prompt\w*|few-?shot|zero-?shot|llm|gpt\S*|claude|gemini)\b[^.;!?]{0,40}\b(?:miss(?:es|ed)? (?:the (?:mark|bar|target)|it)|(?:is |was |stays? |stayed )?(?:below|under) (?:the |our |what )?\w+|falls? short|fell short|"
    r"(?:is |was |are )?(?:not|n'?t) (?:good )?enough|insufficient|isn'?t enough|wasn'?t enough|fail(?:s|ed)\b|los(?:es|t)\b|does(?:n'?t| not) (?:suffice|do|cut it|get there))|"
    r"\bprompt\w*\b[^.;!?]{0,40}\b(?:reicht (?:uns )?nicht|genügt nicht|schafft es nicht|bleibt darunter|ne suffi(?:t|sent) pas|n'y arrive pas|no (?:llega|basta|alcanza|sirve)|não (?:chega|basta|dá conta)|non (?:basta|arriva|ce la fa)|"
    r"is niet (?:goed )?genoeg|haalt het niet|schiet tekort|не хватает|недостаточно|не дотягивает|не справляется)|(?:プロンプト|提示词|提示)[^。？！]{0,24}(?:足りない|不十分|届かない|不够|不足|不行|达不到)",
    _I,
)
_NOTHING_TRIED = re.compile(
    r"\b(?:nothing|nobody|no one|no prompt)\b[^.;!?]{0,20}\b(?:tried|attempted|tested|built|set up|in place|done) ?(?:yet|so far|here|anything)?\b|\b(?:have|has|had|'ve|did)(?:n'?t| not| never|n’t)(?: \w+){0,2} (?:tried|attempted|tested|built|prompted|try|test|attempt)\b(?! (?:a |the |any )?(?:small|cheap|mini|light|fine|tun))|"
    r"\b(?:untested|untried)\b|\bstarting from (?:zero|scratch|nothing)\b|\b(?:noch (?:gar )?nichts?|bisher nichts?)\b[^.;!?]{0,16}\b(?:probiert|ausprobiert|versucht|getestet|gemacht|gebaut)\b|\brien (?:n'a (?:encore )?été )?(?:essayé|testé|tenté)\b|\bon n'a (?:encore )?rien (?:essayé|testé|fait)\b|"
    r"\b(?:no hemos|nadie ha|todavía no hemos|aún no hemos) (?:probado|intentado|hecho)\b|\bnada (?:probado|testado)\b|\bainda não (?:tentamos|testamos|fizemos|experimentamos)\b|\bnon abbiamo (?:ancora )?(?:provato|tentato|fatto)\b|\bniente (?:di )?provato\b|"
    r"\bnog (?:niets|niks|geen \w+) (?:geprobeerd|getest|gedaan)\b|\bничего (?:ещё |еще )?не (?:пробовали|делали|тестировали)\b|まだ(?:何も|なにも)[^。]{0,8}(?:ない|いません|ません)|(?:还|還)没(?:有)?(?:试|用|做|测)过?|什么都没(?:试|做)",
    _I,
)
_WORKS = re.compile(
    r"\b(?:quality|results?|output|accuracy|it|that|prompt\w*|editors|everyone|agents|users)\b[^.;!?]{0,24}\b(?:is |are |works? |work |were )(?:\w+ ){0,2}?(?:fine|good enough|ok(?:ay)?|great|perfect\w*|very well|well|happy|satisfied|excellent)\b|\bworks? (?:fine|well|great|perfectly)\b|"
    r"\b(?:qualität|ergebnis\w*)\b[^.;!?]{0,20}\b(?:gut|super|stimmt|passt|in ordnung)\b|\bfunktioniert (?:gut|prima|einwandfrei)\b|\b(?:marche|fonctionne)(?:nt)? (?:très )?bien\b|\bva benissimo\b|\bvanno (?:molto )?bene\b|\bfunziona(?:no)? (?:molto )?bene\b|"
    r"\bfunciona(?:n|m)? (?:muy |muito )?(?:bien|bem)\b|\bwerkt (?:prima|goed|uitstekend)\b|\bработает (?:отлично|хорошо)\b|(?:うまくいって|問題ありません|満足して)|效果(?:很|不)好(?<!不好)|质量(?:没问题|很好)",
    _I,
)
_DOES_NOT = re.compile(r"\b(?:not|n'?t|never|hardly|nicht|pas|no|non|não|niet|не)\b", _I)
_SMALLER_MISSES = re.compile(
    r"\b(?:cheap(?:er)?|small(?:er)?|mini|lite|light(?:er)?)\b[^.;!?]{0,12}\b(?:ones?|models?|tiers?|versions?)?\b[^.;!?]{0,14}\b(?:lose|lost|fall|fell|drop|dropped|(?:is|are|were|was) (?:clearly |much |far |too )?(?:worse|bad|weak)|not (?:acceptable|good enough)|clearly worse|miss)|"
    r"\b(?:ran|tested|measured|tried|compared) (?:the |a |our |two |both |three )*(?:cheap(?:er)?|small(?:er)?|mini|lite)\b|\b(?:medimos|probamos) (?:los|el|las) (?:más )?(?:barat|pequeñ)\w+|\b(?:kleinere?n?|günstigere?n?|billigere?n?) (?:modelle?|stufen?|varianten?)[^.;!?]{0,20}(?:getestet|gemessen|schlechter|schwächer)",
    _I,
)
_SMALLER_UNTRIED = re.compile(
    r"\b(?:no(?:body| one)?|never|not|n'?t|n’t|untested)\b[^.;!?]{0,24}\b(?:cheap(?:er)?|small(?:er)?|mini|lite|light(?:er)?)\b (?:\w+ )?(?:models?|tiers?|versions?|ones?)?|\b(?:personne n'a|on n'a pas) (?:essayé|testé) (?:la |le |les |une? )?(?:version |modèle )?(?:légère?|petite?|moins ch\w+)|"
    r"\bkein\w* (?:kleinere\w*|günstigere\w*|billigere\w*) modell\w*\b[^.;!?]{0,16}(?:getestet|probiert)|\b(?:no hemos|nadie ha) probado (?:el |los |un )?(?:modelo )?(?:más )?(?:barat|pequeñ|liger)\w+",
    _I,
)
_SMALLER_SUFFICES = re.compile(
    r"\b(?:cheap(?:er|est)?|small(?:er|est)?|mini|lite|light(?:er)?|nano|haiku|flash)\b(?: (?:ones?|models?|tiers?|versions?))?[^.;!?,]{0,24}?\b(?:(?:is|was|are|were|does|did|do|came out|scores?|scored|performs?|performed|works?|worked|turned out) "
    r"(?:\w+ ){0,2}?(?:good enough|fine|as (?:good|well)|ok(?:ay)?|enough|equally (?:good|well)|no worse|the job|well enough|nearly as (?:good|well))|suffices?|sufficed|passe[sd] (?:the |our )?\w+)\b|"
    r"\b(?:kleiner|günstiger|billiger)e?[nrs]? (?:modelle?|stufen?|varianten?)\b[^.;!?,]{0,20}\b(?:reicht|reichen|genügt|genauso gut|gut genug)\b|\b(?:petit|léger|moins ch\w+)\b[^.;!?,]{0,24}\b(?:suffit|aussi bien|fait l'affaire)\b|"
    r"\b(?:pequeñ|barat|económic|liger|menor)\w*\b[^.;!?,]{0,24}\b(?:basta|alcanza|es suficiente|igual de bien|dá conta|é suficiente)\b|\b(?:piccol|economic|legger)\w+\b[^.;!?,]{0,24}\b(?:basta|è sufficiente|altrettanto bene)\b|"
    r"\b(?:kleinere|goedkopere)\b[^.;!?,]{0,24}\b(?:volstaat|is goed genoeg|even goed)\b|\b(?:дешёв|дешев|маленьк|младш)\w+\b[^.;!?,]{0,24}\b(?:хватает|достаточно|не хуже|справляется)\b|小(?:さい|型)?モデル[^。]{0,10}(?:十分|足りる|足ります)|小模型[^。]{0,8}(?:够用|足够|就行)",
    _I,
)
LEARNING = re.compile(
    r"\b(?:for fun|hobby|to learn how|learning project|weekend project|side project|to understand how|educational|"
    r"for (?:my|a|the) (?:class|course|thesis)|just to learn|zum lernen|zum spaß|pour apprendre|para aprender|per imparare|om te leren)\b",
    _I,
)
_PRETRAINS = re.compile(
    r"\bpre-?train(?:ing)?\b|\btrain\w*\b[^.;!?]{0,40}\bfrom scratch\b|\bown (?:foundation|base|large language|language) model\b|\bown llm\b|\b(?:vortrainieren|vorzutrainieren)\b|\beigenes (?:sprach|basis|grund)modell\b|"
    r"\bpré-?entra[iî]ner\b|\bpropre modèle de (?:langage|fondation)\b|\bpre-?entrenar\b|\bpropio modelo (?:de lenguaje|fundacional)\b|\bpré-?treinar\b|\bpróprio modelo (?:de linguagem|fundacional)\b|\bpre-?addestrare\b|"
    r"\bproprio modello (?:linguistico|di fondazione)\b|\beigen (?:taal|basis)model\b|\bпредобуч(?:ить|ать)\b|\bсобственн\w+ языков\w+ модел\w+|事前学習|自社の(?:基盤|言語)モデル|预训练|自己的(?:基础|语言|大)模型",
    _I,
)
BEHAVIOUR = re.compile(
    r"\b(?:never|must not|mustn'?t|may not|should not|shouldn'?t|stop|not to|don'?t want it to)\s+(?:talk|talking|mention|mentioning|say|saying|promise|promising|"
    r"discuss|discussing|apologi[sz]e|apologi[sz]ing|recommend|recommending|offer|offering|swear|swearing)\b",
    _I,
)
_ALL_MAY_READ = re.compile(
    r"\b(?:all|every\w*|any\w*)\b[^.;?!]{0,30}\b(?:may|can|could|are allowed to) (?:read|see|know) (?:everything|all|anything|each other'?s)\b|\bno (?:walls|access rules|restrictions)\b|\balle (?:dürfen|können) alles (?:sehen|lesen)\b|"
    r"\btout le monde peut tout (?:voir|lire)\b|\btodos pueden (?:ver|leer) todo\b|\btutti possono (?:vedere|leggere) tutto\b|\biedereen mag alles (?:zien|lezen)\b",
    _I,
)
_NO_CITING = re.compile(
    r"\bno (?:quot\w+|cit\w+|sources?|footnotes?|references?) (?:is |are )?(?:needed|required|necessary|wanted)\b|\bno need (?:to|for) (?:quot\w+|cit\w+|sources?|footnotes?)|\bwithout (?:quot|cit)ing\b|\b(?:needn'?t|don'?t (?:have|need) to) (?:quote|cite)\b",
    _I,
)
_GAP_WORDS = {
    "style": r"tone|style|voice|wording|stiffness|ton(?:fall|alität)?|stil|estilo|tono|tom|toon|тон|стиль|口調|文体|语气",
    "knowledge": r"facts?|contents?|knowledge|information|fakten|inhalt\w*|faits|contenu|datos|hechos|contenido|fatti|contenuto|fatos|conteúdo|feiten|inhoud|факты|事実|内容|事实",
    "format": r"format|structure|layout|schema|formato|struktur|structuur|формат|形式|格式",
    "cost": r"costs?|price|bill|kosten|preis|prix|coût|costo|coste|preço|prijs|цена|費用|コスト|成本|价格",
    "latency": r"speed|latency|slowness|geschwindigkeit|vitesse|velocidad|velocità|snelheid|скорость|速度",
}  # fmt: skip
_NOT = r"(?:not(?: (?:so much|about))?|no longer|rather than|instead of|nicht|pas|no|non|não|niet|не)"
COUNTS = (
    "examples",
    "per_class",
    "classes",
    "eval_n",
    "kb_tokens",
    "volume_month",
    "monthly_cost",
    "gpus",
    "score",
    "target",
)
_INSTEAD = re.compile(rf"[^\w%]*(?:,\s*)?(?:and )?{_NOT}\s(?:the |a |my )?(?:~|about )?$", _I)
_BUT = re.compile(r"\W+(?:but|sondern|mais|sino|mas|ma|maar|а|но)\s$", _I)
_NOW = re.compile(
    r"\b(?:now|will be|it'?s|makes|means|only|actually|altogether|instead|meant?|zeros?|digits?|jetzt|nur|maintenant|seulement|ahora|solo|adesso|agora|só|nu|maar|теперь|только)\b|今|現在|现在|只",
    _I,
)


def with_plain_words(new: Signals, text: str) -> Signals:
    """The reading plus what fixed phrases say: a model from scratch or to learn from, a rule of behaviour, permission, who may read."""
    values: dict[str, Any] = {}
    quotes = dict(new.quotes)
    for name, (value, said) in _from_scratch(new, text).items():
        values[name], quotes[name] = value, said
    if values.get("task", new.task) == "foundation" and (words := LEARNING.search(text)):
        values["learning"], quotes["learning"] = True, words[0]
    if new.topic == "decision" and set(new.gaps) <= {"vague"} and (words := BEHAVIOUR.search(text)):
        values["gaps"], quotes["gaps"] = ("style",), words[0]
    for name, pattern, value in (("acl", _ALL_MAY_READ, False), ("citations", _NO_CITING, False)):
        if words := pattern.search(text):
            values[name], quotes[name] = value, words[0]
    if new.topic == "decision":
        for name, (value, said) in _experience(new, text).items():
            values[name], quotes[name] = value, said
    if (consent := permission(text)) is not None:
        values["consent"], quotes["consent"] = consent, text.strip()[:90]
    return new.model_copy(update={**values, "quotes": quotes}) if values else new


def _from_scratch(new: Signals, text: str) -> dict[str, tuple[Any, str]]:
    """A person who asks to pre-train and names no task wants a model of their own; without a failure this is the gap."""
    words = _PRETRAINS.search(text)
    if words is None or new.task is not None or new.topic != "decision" or new.in_training:
        return {}
    wish = {} if set(new.gaps) - {"vague"} else {"gaps": (("ambition",), words[0])}
    return {"task": ("foundation", words[0]), **wish}


def _experience(new: Signals, text: str) -> dict[str, tuple[Any, str]]:
    """What was tried and its result, where the readers found neither; a cheaper tier that suffices resolves the cost gap."""
    result: dict[str, tuple[Any, str]] = {}
    suffices = _SMALLER_SUFFICES.search(text)
    if suffices and not _DOES_NOT.search(suffices[0]) and not text.rstrip().endswith("?"):
        quote = suffices[0][:90]
        return {
            "cheaper_tier_tried": (True, quote),
            "baseline": ("tried_ok", quote),
            "gaps": (tuple(gap for gap in new.gaps if gap != "cost"), quote),
        }
    if new.cheaper_tier_tried is None:
        if words := _SMALLER_UNTRIED.search(text):
            result["cheaper_tier_tried"] = False, words[0]
        elif words := _SMALLER_MISSES.search(text):
            result["cheaper_tier_tried"] = True, words[0]
    is_settled = new.baseline is not None or new.vendor_claim or new.in_training or new.already_tuned
    for value, pattern in (("tried_fail", _FALLS_SHORT), ("not_tried", _NOTHING_TRIED), ("tried_ok", _WORKS)):
        words = pattern.search(text)
        if not is_settled and words and not (value == "tried_ok" and _DOES_NOT.search(words[0])):
            result["baseline"] = value, words[0][:90]
            break
    return result


def permission(text: str) -> bool | None:
    """Whether a message states a legal basis (True) or its absence (False); None where it states neither."""
    if _REFUSES.search(text):
        return False
    grant = _GRANTS.search(text)
    if grant is None:
        return None
    sentence = re.split(r"[.;!?\n]", text[: grant.end()])[-1]
    return None if _DENIED.search(sentence) or text[grant.end() :].lstrip().startswith("?") else True


def replaced_gaps(text: str) -> tuple[str, ...] | None:
    """The gaps after "it's facts, not tone"; None where the message negates nothing."""
    no_gaps = {
        gap
        for gap, words in _GAP_WORDS.items()
        if re.search(rf"\b{_NOT}\s(?:the |der |die |le |la |el |il |de |het )?(?:{words})\b", text, _I)
    }
    if not no_gaps:
        return None
    gaps = tuple(
        gap
        for gap, words in _GAP_WORDS.items()
        if gap not in no_gaps and re.search(rf"\b(?:{words})\b", text, _I)
    )
    return gaps or None


def replaced_counts(old: Signals, new: Signals, text: str) -> Mapping[str, Any]:
    """The counts of a thread that a correction replaces: "300, not 30", "shift both by one digit: 22 and 100", "it will be 260k"."""
    quantities = [one for one in find_quantities(text) if not (one.is_share or one.percent)]
    pairs = _named_pairs(text, quantities)
    values = {name: getattr(old, name) for name in COUNTS if getattr(old, name) is not None}
    if pairs:
        return {name: type(value)(pairs[value]) for name, value in values.items() if value in pairs}
    kinds = plain_kinds(text, quantities)
    loose = [
        one
        for one, kind in zip(quantities, kinds, strict=True)
        if kind is None and one.value > 2 and one.value not in _values(new)
    ]
    most_words = 16 if CORRECTS.search(text) else 11 if _NOW.search(text) else 0
    if not loose or len(text.split()) > most_words:
        return {}
    result: dict[str, Any] = {}
    for one in loose:
        tens = [
            name
            for name, value in values.items()
            if value and name not in result and _power_of_ten(one.value / value)
        ]
        near = [
            name
            for name, value in values.items()
            if value and name not in result and 0.1 <= one.value / value <= 10
        ]
        name = tens[0] if tens else near[0] if len(near) == 1 and len(loose) == 1 else None
        if name is not None:
            result[name] = type(values[name])(one.value)
    return result


def _named_pairs(text: str, quantities: list[Quantity]) -> dict[float, float]:
    """{what was said: what holds} for each "300 not 30" and "not 30 but 300"."""
    pairs = {}
    for one, other in itertools.pairwise(quantities):
        between = text[one.end : other.start]
        if _INSTEAD.fullmatch(between):
            pairs[other.value] = one.value
        elif _BUT.fullmatch(between) and re.search(rf"{_NOT}\s$", text[: one.start], _I):
            pairs[one.value] = other.value
    return pairs


def _values(signals: Signals) -> set[float]:
    return {float(value) for name in COUNTS if (value := getattr(signals, name)) is not None}


def _power_of_ten(ratio: float) -> bool:
    return any(abs(ratio - factor) < 1e-9 * factor for factor in (0.01, 0.1, 10.0, 100.0, 1000.0))
