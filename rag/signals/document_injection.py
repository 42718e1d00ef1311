"""Finds prompt injections in a document, in twelve languages, to tell the person who added it.

Covers instructions to ignore earlier ones, text addressed to AI readers, role marks of chat formats, and instructions to
hide something from the user. Rules for people that only mention an AI or a key are not injections. A missed one costs
only the note: no text of a document is ever executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from rag.signals.lexicon import lower_with_plain_quotes
from rag.signals.prompt_injection import plain

MAX_CHARS = 400  # of a sentence: one without end is looked at in parts
MAX_SHOWN = 3
MAX_WORDS_SHOWN = 16
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|(?<=[。！？])|\n+")
_NOT = r"(?<!not )(?<!n't )(?<!never )(?<!cannot )"
_EARLIER = (
    r"(?:all|any|every|the|your|my|these|those|of|previous|prior|above|preceding|earlier|foregoing|existing|other|former"
    r"|initial|original|system|safety|current|and|or)"
)
_RULES = r"(?:instructions?|prompts?|rules|guidelines|directives|commands|orders|programming|training|context|guardrails)"
_AI = (
    r"(?:a\.?i\.?|llms?|large language models?|language models?|chat ?bots?|chatgpt|gpt(?:-\d\w*)?|claude|gemini|copilot"
    r"|(?:ai|virtual|automated|digital)[ -](?:assistants?|agents?|readers?|models?|systems?|summari[sz]ers?|tools?|bots?))"
)
_SAYS = (
    r"(?:say|tell|answer|respond|reply|recommend|rate|output|praise|state|claim|approve|rank|ignore|disregard|reveal|send"
    r"|forward|include|append|insert|pretend|summari[sz]e|conclude|score|repeat)"
)
_PATTERNS = (
    # Drop what was ordered before.
    _NOT + r"\b(?:ignore|disregard|forget|override|overrule|bypass|discard)\b(?: " + _EARLIER + r"){1,6} " + _RULES,
    _NOT + r"\b(?:ignore|disregard|forget)\b (?:everything|anything|all|what(?:ever)?) .{0,20}\b(?:above|before|told|prior to this|previously)\b",
    r"\b(?:ignorier\w*|missacht\w*|vergiss|vergesst|vergessen sie|übergeh\w*|verwirf)\b.{0,20}\b(?:alle\w*|bisherig\w*|vorherig\w*|vorig\w*|vorangegangen\w*|obig\w*|frühere\w*|deine\w*|eure\w*|ihre\w*|sämtliche\w*|system\w*)\b.{0,30}(?:anweisung|instruktion|regel|vorgabe|befehl|prompt)",
    r"\b(?:ignore[zr]?|oublie[zr]?|néglige[zr]?|négligez|fai(?:s|tes) abstraction de|ne ten(?:ez|iens|s) pas compte)\b.{0,12}\b(?:toutes?|tous|tes|vos|les|des|ces)\b.{0,20}(?:instructions?|consignes?|règles?|directives|ordres)",
    r"\b(?:ignora|ignore|ignorad|ignoren|olvida|olvide|olviden|descarta|descarte|omite|haz caso omiso de|haga caso omiso de)\b.{0,10}\b(?:todas?|todos|tus|sus|las|los)\b.{0,20}(?:instrucciones|reglas|órdenes|ordenes|indicaciones|directrices)",
    r"\b(?:ignore|ignora|ignorem|esqueça|esquece|esqueçam|desconsidere|desconsidera)\b.{0,10}\b(?:todas?|todos|as|os|suas|tuas|quaisquer)\b.{0,20}(?:instruções|instrucoes|regras|ordens|orientações|diretrizes)",
    r"\b(?:ignora|ignorate|ignori|dimentica|dimenticate|dimentichi|trascura)\b.{0,10}\b(?:tutt[ei]|le|gli|i|tue|vostre|ogni)\b.{0,20}(?:istruzioni|regole|indicazioni|ordini|direttive)",
    r"\b(?:negeer|vergeet)\b.{0,12}\b(?:alle|je|jouw|uw|de|eerdere|vorige|voorgaande)\b.{0,20}(?:instructies|regels|opdrachten|aanwijzingen)",
    r"\b(?:zignoruj|ignoruj|pomiń|zapomnij o)\b.{0,12}(?:wszystk\w*|poprzedni\w*|wcześniejsz\w*|swoje).{0,25}(?:instrukcj|polece|zasad|reguł)",
    r"(?:игнорируй\w*|проигнорируй\w*|забудь\w*|не обращай\w* внимания на).{0,12}(?:все|всё|предыдущ\w*|прежн\w*|свои|эти|любые).{0,30}(?:инструкци|указани|правил|команд)",
    r"(?:忽略|无视|無視|忽視|忘记|忘記|忘掉|不要理会|不要理會).{0,14}(?:指令|指示|说明|說明|规则|規則|提示|命令)",
    r"(?:指示|命令|ルール|プロンプト|指令|規則)(?:を|は)?.{0,8}(?:無視|忘れ)",
    r"(?:지시|명령|지침|규칙|프롬프트).{0,12}(?:무시|잊어)",
    r"(?:تجاهل|تجاهلوا|انسَ|انس).{0,25}(?:التعليمات|الأوامر|القواعد|الإرشادات)",
    r"(?:talimat|kural|komut|yönerge)\w*.{0,20}(?:yok say|göz ardı et|görmezden gel|unut)",
    # Addressed to AI readers.
    r"\b(?:note|message|instructions?|attention|notice|memo|hint|reminder|request|order|information)s?:? (?:to|for) (?:all |any |every |the |you,? )*" + _AI + r"(?: |\b[:,.])",
    r"\bif you(?:'re| are) (?:an? |the )?(?:\w+ )?(?:" + _AI + r"|assistant|machine|robot|bot|model)\b(?! (?:manager|professor|director|editor|teacher|coach|buyer|coordinator|user|expert|fan|owner|developer|team)).{0,60}\b(?:you|please|then|" + _SAYS + r")",
    r"\b(?:" + _AI + r")(?: \w+){0,3} (?:reading|processing|parsing|summari[sz]ing|indexing|analy[sz]ing|ingesting|(?:who|that|which) (?:reads?|process(?:es)?|summari[sz]es?)) (?:this|these|the present)\b",
    r"\b(?:" + _AI + r"|assistants?)[,:]? (?:you )?(?:must|should|shall|will|are to|have to)(?: always| not| never| only| now)* " + _SAYS + r"\b",
    r"\bas an? (?:ai|llm|language model|ai assistant|ai model|chatbot),? (?:you (?:must|should|will|shall|are)|please)\b",
    r"\b(?:wenn|falls|sofern) (?:du|sie|ihr) (?:eine? )?(?:ki\b|künstliche intelligenz|sprachmodell|ki-\w+|assistent|chatbot|bot)\w*",
    r"\b(?:hinweis|anweisung|nachricht|achtung|information|wichtig)\w*:? (?:an|für) (?:alle |jede[ns]? |die |das )?(?:ki\b|ki-\w+|llms?\b|sprachmodelle?|chatbots?|künstliche)",
    r"\bsi (?:tu es|vous êtes) (?:une? |un )?(?:ia\b|intelligence artificielle|modèle|assistant|chatbot|robot)",
    r"\b(?:note|message|instructions?|consignes?|attention)s? (?:pour|à|aux?) (?:les |l'|toute |tous les |toutes les )?(?:ia\b|intelligences? artificielles?|assistants? ia|modèles? de langage|chatbots?)",
    r"\bsi eres (?:una? |un )?(?:ia\b|inteligencia artificial|modelo|asistente|chatbot)",
    r"\b(?:nota|mensaje|instrucciones|aviso|mensagem|instruções|istruzioni|messaggio|avviso) (?:para|per|a) (?:las? |los? |as |os |gli |le |l')?(?:ia\b|inteligencias? artificiale?s?|inteligências? artificia\w+|modelos? de (?:lenguaje|linguagem)|asistentes|assistentes|assistenti|modelli linguistici|chatbots?)",
    r"\bse (?:você |tu )?(?:é|és|for|fores|sei|siete) (?:uma? |una |un |un')?(?:ia\b|inteligência artificial|intelligenza artificiale|modelo|modello|assistente|chatbot)",
    r"\bals (?:je|jij|u) een (?:ai\b|ai-\w+|taalmodel|assistent|chatbot)",
    r"если ты (?:ии\b|искусственный интеллект|языковая модель|ассистент|бот)",
    r"(?:如果|若|假如)你是.{0,4}(?:ai|人工智能|人工智慧|语言模型|語言模型|大模型|助手|机器人)",
    r"(?:致|所有)(?:所有)?.{0,4}(?:ai|人工智能|语言模型|大模型).{0,8}[:：]",
    r"(?:あなたが|もし).{0,8}(?:ai|人工知能|言語モデル|アシスタント).{0,4}(?:なら|であれば|の場合)",
    # Role marks and forged turns.
    r"<\|(?:im_start|im_end|system|user|assistant|endoftext)\|>|\[/?inst\]|<</?sys>>|<(?:system|admin|assistant)(?:[ _-](?:prompt|message|instructions?|override))?>",
    r"^\W*(?:system|assistant|developer|admin|ai)\s*(?:prompt|message|override|notice|instruction)?\s*:\s*(?:you\b|ignore|disregard|forget|from now|always|never|reveal|do not|don't|print|set\b|the user|answer|say\b|override|new\b|enter|tell)",
    r"^\W*#{2,}\s*(?:system|instruction)s?\b(?: (?:prompt|message|override))?\s*:",
    # A new role, a secret, a silence.
    r"\byou are now (?:an? |in )?(?:\w+ )?(?:unrestricted|jailbroken|dan\b|evil|unfiltered|free of|no longer|developer mode|admin|root)",
    r"\bfrom now on,? you (?:will|must|are|shall|should|answer|only|always|never)\b",
    r"\bnew (?:system )?(?:instructions|prompt)(?: for (?:you|the (?:ai|assistant|model)))?:",
    r"\b(?:reveal|print|output|repeat|show|leak|display|disclose|dump)\b.{0,20}\b(?:your|the|its) (?:system prompt|hidden (?:prompt|instructions)|initial (?:prompt|instructions))|\b(?:reveal|print|output|repeat|show|leak|display|disclose|dump) your (?:prompt|instructions)\b",
    r"\b(?:do not|don't|never) (?:tell|inform|mention|reveal|alert|notify|show)(?: (?:this|it|any of this))?(?: to)? the user\b",
    r"\b(?:answer|say|reply|respond|recommend|choose|output|conclude)\b.{0,40}\b(?:fine_tune|foundation_model|small_model)\b|\bset the (?:verdict|confidence)\b",
    r"\bwithout (?:telling|informing|alerting|notifying) the user\b",
)  # fmt: skip
_ORDER = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS))


def find_injections(text: str) -> list[str]:
    """The sentences of a text that are prompt injections, as a person sees them, in order."""
    parts = (" ".join(part.split()) for part in _parts(plain(text)))
    return [part for part in parts if _ORDER.search(lower_with_plain_quotes(part))]


@lru_cache(maxsize=4096)  # of documents' sentences: most answers look at the same ones
def is_injection(sentence: str) -> bool:
    """Whether a sentence, or a part of it, is a prompt injection."""
    return bool(find_injections(sentence))


def injection_note(text: str, where: str = "") -> list[str]:
    """The note for the person who added a text with injections; [] for one without. `where` names their place."""
    orders = list(dict.fromkeys(find_injections(text)))
    if not orders:
        return []
    sample = "; ".join(f'"{_short(order)}"' for order in orders[:MAX_SHOWN])
    more = f" and {len(orders) - MAX_SHOWN} more" if len(orders) > MAX_SHOWN else ""
    place = f" {where}" if where else ""
    return [
        f"holds text that gives orders to AI readers{place}: {sample}{more}. I never follow such text. Ask where the "
        "document comes from, or remove it."
    ]


def _parts(text: str) -> Iterator[str]:
    """Sentences, long ones in overlapping parts, so that every pattern's reach is bounded."""
    for sentence in _SENTENCE.split(text):
        if len(sentence) <= MAX_CHARS:
            yield sentence
        else:
            step = MAX_CHARS // 2
            yield from (sentence[at : at + MAX_CHARS] for at in range(0, len(sentence) - step, step))


def _short(order: str) -> str:
    words = order.split()
    short = " ".join(words[:MAX_WORDS_SHOWN])
    return (short if len(words) <= MAX_WORDS_SHOWN else f"{short} …")[:160]
