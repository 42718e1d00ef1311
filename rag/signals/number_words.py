"""The words beside numbers in English, German, French and Spanish: what they multiply, what they count. Regular
expressions on lower-case text; the order of rules that use them stands in rag/signals/numbers.py.
"""

from __future__ import annotations

import re

PER = r"(?:/|\bper\b|\ba\b|\ban\b|\beach\b|\bevery\b|\bpro\b|\bpar\b|\bpor\b|\bal\b|\bà la\b|\bim\b)\s?"
TIMES = {  # calls per month for one call per unit
    r"(?:months?|mo|mth|monat|mois|mes)\b": 1.0,
    r"(?:days?|d|tag|jour|d[ií]a)\b": 30.0,
    r"(?:weeks?|wks?|woche|semaine|semana)\b": 4.3,
    r"(?:hours?|hrs?|h|stunde|heure|hora)\b": 720.0,
    r"(?:minutes?|min)\b": 43_200.0,
    r"(?:seconds?|secs?|s)\b": 2_592_000.0,
    r"(?:years?|yrs?|jahr|an|ann[ée]e|a[ñn]o)\b": 1 / 12,
    r"(?:quarter|q|quartal|trimestre)\b": 1 / 3,
}
ADVERBS = {
    r"(?:daily|t[äa]glich|quotidien\w*|diari[oa]s?)\b": 30.0,
    r"(?:monthly|monatlich|mensuel\w*|mensuales)\b": 1.0,
    r"(?:weekly|w[öo]chentlich|hebdo\w*|semanales)\b": 4.3,
    r"(?:qps|rps)\b": 2_592_000.0,
    r"(?:yearly|annually|j[äa]hrlich)\b": 1 / 12,
}
GAP = r"(?:[\w'’\-+]+\s){0,3}?"  # up to three words between number and noun
CLASS = (
    r"(?:class(?:es)?|labels?|intents?|categor(?:y|ies)|queues?|tags?|topics?|buckets?|kategorien?|klassen?|"
    r"cat[ée]gories?|clases?|categor[ií]as?|[ée]tiquettes?|etiquetas?|departments?|folders?|damage types|"
    r"file|types?|typen|reasons?|codes|warteschlangen|colas|files d'attente|outcomes|skills|themes?|priorit(?:y|ies))\b"
)
EXAMPLE_STRONG = (
    r"(?:labell?ed|hand-?(?:\w+ed|written|made)|annotated|tagged|approved|validated?|valid[ée]e?s?|verified|curated|checked|reviewed|gold|"
    r"golden|pairs?|examples?|samples?|macros?|gelabelte?n?|beschriftete?n?|zugeordnete?n?|klassifizierte?n?|kategorisierte?n?|verschlagwortete?n?|classée?s|clasificad[oa]s|anotad[oa]s|freigegebene?n?|gepr[üu]fte?n?|beispiele?n?|exemples?|"
    r"[ée]tiquet[ée]e?s?|annot[ée]e?s?|ejemplos?|etiquetad[oa]s?|aprobad[oa]s?|validad[oa]s?|rated|signed-?off|"
    r"accepted|coded|moderated|triaged|classified|categori[sz]ed|certified|released|double-?checked|hand-?picked|angenommene?n?|accept[ée]e?s?|aceptad[oa]s?|"
    r"translator-\w+|QA|beispielpaare?|paires?|pares|corrected|segment pairs|templates|star-\w+|graded|good)\b"
)
EXAMPLE_WEAK = (
    r"(?:tickets?|e-?mails?|repl(?:y|ies)|responses?|answers?|conversations?|convos?|transcripts?|chats?|records|rows|"
    r"cases|notes|reviews|reports|summaries|segments|snippets|utterances|messages|msgs|logs|outputs|calls|posts|"
    r"r[ée]ponses|antworten|respuestas|mensajes|mails|bewertungen|avis|anfragen|lines|files|letters|scripts|images|"
    r"completions|drafts|descriptions|incidents|complaints|requests|documents de test|demandes|correos|invoices)\b"
)
LABEL_KNOWN = (
    r"(?:(?:are|were|was|is|have been|already|of them|all)\s)*(?:labell?ed|tagged|routed|sorted|coded|annotated|checked|"
    r"with (?:the |their |a |its |known |right |correct |true |final )*(?:queue|label|team|categor(?:y|ies)|class|code|"
    r"folder|topic|tag|outcome|department|priorit(?:y|ie)|severity|verdict|rating|type|reason|decision|status)s?\b|(?:have|has) (?:checked|correct|known|verified) \w+)"
)
EVAL = (
    r"(?:evals?|evaluation|test ?-?set|test|tests|held-?out|holdout|blind|benchmark|validation|testset|"
    r"testdaten|jeu de test|conjunto de prueba|val)\b"
)
PEOPLE = (
    r"(?:agents|people|ppl|persons?|employees|staff|engineers?|devs|developers|users|customers|folks|reps|hires|"
    r"researchers?|scientists?|phds?|mitarbeiter|leute|personnes|personas|employ[ée]s|empleados|chercheurs|forscher|"
    r"annotators|nurses|accounts|tenants|clients|merchants|stores|companies|kunden|seats|investigadores|of us)\b"
)
KB = {  # tokens in one of them: a planning figure, told in docs/decisions.d/advisor.md
    r"(?:pages?|pgs?|seiten|p[áa]ginas)\b": 650,
    r"(?:kb |help ?center |help |wiki |support |knowledge base )?(?:articles?|artikel|art[ií]culos)\b": 800,
    r"(?:docs?|documents?|pdfs?|dokumente?n?|documentos|manuals?|contracts?|handbooks?|handb[üu]cher|policies|sops)\b": 3000,
    r"(?:recipes?|(?:\w+ )?sheets?|leaflets?|brochures?)\b": 500,
    r"(?:rulings?|judge?ments?|guidelines?|procedures?)\b": 3000,
    r"(?:faqs?|faq entries|entries|q&as?|skus?|products?)\b": 150,
    r"(?:words|w[öo]rter|mots|palabras)\b": 1.35,
    r"gb\b": 2e8,
    r"tb\b": 2e11,
    r"mb\b": 2e5,
    r"(?:repos?|repositories)\b": 5e5,
    r"(?:loc|lines of code)\b": 10,
}
GPU = r"x?\s?(?:nvidia )?(?:h100|h200|a100|b200|b300|gb200|mi300x?|v100|l40s?|a10g?|tpus?|gpus?|gpu|grafikkarten|accelerators?)s?\b"
NEED = (
    r"(?:need|needs|needed|want|wants|wanted|target|goal|required?|requires|must|at least|aim|aiming|bar is|reach|get to|"
    r"hit|brauchen|ben[öo]tigen|ziel|mindestens|besoin|il faut|faut|objectif|viser|visons|necesitamos|objetivo|queremos|"
    r"expects?|sla|threshold|bar|to|>=?|≥)\W*(?:is|are|de|of|be|at|around|about|es|ist|est|a|min|minimum|like|be at|het)?\W*$"
)
REACHED = (  # what stands there already, though its verb may be a wish's too
    r"(?:stuck|gets? to|got to|\breache[sd]|\bhits|"
    r"\b(?:it|they|this|prompts|models|classifiers|answers|replies|only|just|already|now|currently|today) reach)"
    r"\W*(?:at|about|around|a|some|only|just)?\W*$"
)
UNLESS = r"\b(?:if|until|till|when|once|unless|whether|that|which|who|to|must|should)\b(?!['’])[^,;.:]*$"
SCORE_WORDS = (
    r"accura\w*|acc\b|f1|right|correct|scor\w*|pass\w*|stuck|gets?\b|got\b|at\b|conform\w*|hits?\b|plateau\w*|tops? out|"
    r"reach\w*|precision|recall|exact|valid|richtig|korrekt|trefferquote|genauigkeit|correctes?|justes?|aciert\w*|"
    r"exactitud|precisi[óo]n|parse\w*|match\w*|agree\w*|win|prefer\w*|bleu|comet|rouge|only|schafft|liegt|kommt|est [àa]|"
    r"exactitude|still|landed|lands|sits|sitting|compliant|usable|accept\w*|macro"
)
WRONG = (
    r"(?:wrong\w*|errors?|fail\w*|incorrect|off\b|false|falsch\w*|faux|fausses?|mal\b|broken|break|miss\w*|halluc\w*|"
    r"flagged|sent back|send back|invalid|mistake\w*|bad|fehler\w*|erreurs?|err[óo]ne\w*|errores|incorrect[oa]s?|reject\w*|escalat\w*)"
)
SORTS = (
    r"(?:sort\w*|labels?\b|labell?ing|tag\w*|rout\w*|classif\w*|categori\w*|assign\w*|put\b|map\w*|go(?:es)?\b|group\w*|"
    r"bucket\w*|split\w*|triage\w*|code[ds]?\b|belongs?|einteil\w*|einsortier\w*|class(?:er|é\w*)|clasific\w*|one of)"
)
INTO_CLASSES = (  # a plural noun, other than what a text is cut to
    r"\s(?!(?:lines|bullets?|sentences|pages|words|points|columns|fields|languages|paragraphs|minutes|hours|days|"
    r"weeks|months|years|seconds|agents|people|customers|stores|countries)\b)(?:[a-zà-ÿ\-]+\s){0,2}?[a-zà-ÿ\-]{2,}(?:s|en|e|people)\b"
)
IN_PROMPT = (  # samples that stand in the prompt are no training data
    r"(?:prompt\w*|style guide|few-?shot|instructions|tone rules)\b[^.;?]{0,30}(?:with|w/|and|plus|\+|incl\w*|mit|avec|con)\s?(?:~|about )?$"
)


def is_wanted(before: str) -> bool:
    """Whether the words before a number make it a wish; "it reaches" tells what is there, "once it reaches" does not."""
    if not re.search(NEED, before):
        return False
    match = re.search(REACHED, before)
    return match is None or bool(re.search(UNLESS, before[: match.start()]))
