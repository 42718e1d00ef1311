"""Sentences with personal data of known kind and place, and look-alikes that must stay. Values come from the real rules
(phone metadata of 24 countries, Luhn, IBAN check digits, the makers' key formats); sentences are in ten languages.

Two voices: `development` was looked at while the patterns were written, `held out` has other sentences, other countries' share,
other formats and another seed, and is only ever scored.
"""

from __future__ import annotations

import random
import string
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import phonenumbers
from stdnum import iban, luhn

KINDS = ("PHONE", "CARD", "IBAN", "EMAIL", "IP", "SECRET", "ORDER_ID", "NAME")
PER_KIND = 210
LOOK_ALIKES = 1_600


@dataclass(frozen=True)
class Case:
    """One text; `value` is the stretch of it to hide, "" for a look-alike; `names` are the row's own people."""

    text: str
    kind: str
    value: str
    names: tuple[str, ...] = ()
    family: str = ""


SENTENCES: dict[str, dict[str, tuple[str, ...]]] = {
    "development": {
        "PHONE": (
            "Please call me back on {}, I am in until five.", "My mobile is {}.", "You can reach us at {} during the day",
            "Bitte rufen Sie mich unter {} zurück.", "Meine Handynummer: {}", "Mon téléphone est le {}, merci de rappeler.",
            "Mi teléfono es {}, llámenme por la tarde.", "Il mio numero di cellulare è {}.", "Mijn telefoonnummer is {}, bel gerust.",
            "O meu telemóvel é {}.", "Mój telefon: {}", "Mitt mobilnummer är {}.", "電話番号は {} です。", "Tel. {} (office)",
            "Jan, phone {}, wrote about the broken lamp.",
        ),
        "CARD": ("I paid with {} yesterday.", "Die Karte {} wurde zweimal belastet.", "Ma carte {} est refusée", "card no. {}, exp 04/27", "Mi tarjeta {} no funciona."),
        "IBAN": ("Please refund to {}.", "Meine IBAN lautet {}", "Mon IBAN : {}, merci.", "IBAN {} (savings)", "Rimborso su {} per favore"),
        "EMAIL": ("write to {}", "My address is {}, please update it.", "Meine neue Adresse: {}.", "contact ({}) for details", "Envoyez-le à {} svp"),
        "IP": ("We connect from {} and are blocked.", "Server {} does not answer to ping", "The host {} is down.", "login from IP {} was not me", "Der Server {} antwortet nicht."),
        "SECRET": ("{}",),
        "ORDER_ID": (
            "My order {} has not arrived.", "Invoice number {} is wrong", "order no. {} still open", "tracking number {}", "customer id: {}",
            "Bestellung {} fehlt.", "Rechnungsnummer {} stimmt nicht", "Ma commande n° {} est perdue", "El pedido {} no llega", "L'ordine {} è in ritardo",
            "ordernummer {} is zoek", "Kundennummer: {}", "booking reference {}",
        ),
        "NAME": (
            "Hello, {} here, the app is slow.", "Could {} call me about it?", "I spoke to {} about this last week.", "Thanks {}, it works now.",
            "{} promised a refund.", "Gestern hat {} angerufen.", "J'ai parlé avec {} hier.", "He hablado con {} ayer.", "The agent {} was very kind.",
        ),
    },
    "held out": {
        "PHONE": (
            "ring {} when the parcel is ready", "If anything is unclear: {} (mobile).", "Tried to get through, my number again: {}",
            "Rückruf bitte an {}", "Ich bin telefonisch erreichbar: {}", "vous pouvez me joindre au {}", "Portable : {}",
            "mi móvil: {} (por las mañanas)", "potete chiamarmi al {}", "tel: {}", "ligar para {} por favor", "proszę dzwonić {}",
            "ring mig på {}", "携帯 {} までお願いします", "WhatsApp {} works best for me", "fax {}",
        ),
        "CARD": ("the charge on {} is not mine", "Kreditkarte: {}", "visa {} got declined three times", "numéro de carte {}", "mein Konto und Karte {} sind gesperrt"),
        "IBAN": ("send it back to my account {}", "Überweisung bitte an {}, danke", "nuevo IBAN: {}", "rekening {}", "bank details - {} - as before"),
        "EMAIL": ("cc {} on every answer", "Login: {}", "il mio indirizzo è {}", "(was {} before)", "mailto {} bounced"),
        "IP": ("our office has the fixed address {}", "ssh to {} times out", "remote host {} refused us", "proxy at {} blocks it", "gateway {} unreachable"),
        "SECRET": ("{}",),
        "ORDER_ID": (
            "where is parcel {}?", "please cancel booking {}", "ref. {} as discussed", "contract number {} ends in May", "your invoice {} arrived twice",
            "Auftragsnummer {} bitte stornieren", "Sendungsnummer {}", "facture {} à corriger", "número de pedido {}", "fattura {} errata",
            "membership no {}", "RMA {} was opened in June", "Vertragsnummer {} kündigen",
        ),
        "NAME": (
            "{} from your side told me to write here.", "Please pass this on to {}.", "Is {} still handling my case?", "Dank an {} für die Hilfe!",
            "comme dit à {} au téléphone", "met {} besproken, graag oplossen", "Regards to {} and the others", "we asked {} twice",
        ),
    },
}  # fmt: skip
COUNTRIES = {
    "development": ("US", "GB", "DE", "FR", "ES", "IT", "NL", "PT", "PL", "SE", "JP", "AT", "CH", "BE"),
    "held out": (
        "US",
        "GB",
        "DE",
        "FR",
        "IT",
        "NL",
        "BR",
        "IN",
        "AU",
        "DK",
        "FI",
        "CZ",
        "IE",
        "JP",
        "SE",
        "PL",
        "ES",
    ),
}
FIRST = (
    "Maya",
    "Jörg",
    "Aiko",
    "Priya",
    "Tomasz",
    "Zoë",
    "Luca",
    "Ingrid",
    "Omar",
    "Noor",
    "Svetlana",
    "Kwame",
    "Chloé",
    "Mateo",
    "Anneke",
    "Rahel",
)
LAST = (
    "Patel",
    "Sørensen",
    "Tanaka",
    "Kowalski",
    "Okafor",
    "Lindqvist",
    "Moreau",
    "Ibáñez",
    "Esposito",
    "Haddad",
    "Novák",
    "Iyer",
    "Brandt",
    "Achebe",
)
WORD_NAMES = (
    "Mark",
    "Will",
    "Grant",
    "May",
    "Page",
    "Rose",
    "Bill",
    "Art",
    "Price",
    "Grace",
    "Hope",
    "Summer",
    "Young",
    "Long",
    "Best",
    "Case",
)


def phone(draw: random.Random, voice: str) -> str:
    """A valid number of a country, written in one of the ways that people write it."""
    region = draw.choice(COUNTRIES[voice])
    kind = draw.choice((phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE))
    example = phonenumbers.example_number_for_type(region, kind) or phonenumbers.example_number(region)
    while True:
        digits = str(example.national_number)
        number = phonenumbers.PhoneNumber(
            country_code=example.country_code,
            national_number=int(digits[:-5] + "".join(draw.choices(string.digits, k=5))),
            italian_leading_zero=example.italian_leading_zero,
        )
        if phonenumbers.is_valid_number(number):
            break
    style = draw.choice(
        ("international", "national", "00", "dashes", "tight", "dots")
        if voice == "held out"
        else ("international", "national", "00", "dashes")
    )
    if style == "national":
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    text = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    return {
        "international": text,
        "00": "00" + text[1:],
        "dashes": text.replace(" ", "-"),
        "tight": phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164),
        "dots": text.replace(" ", "."),
    }[style]


def card(draw: random.Random) -> str:
    """A number with an issuer's prefix and the right check digit."""
    prefix, size = draw.choice(
        (
            ("4", 16),
            ("51", 16),
            ("54", 16),
            ("2221", 16),
            ("34", 15),
            ("37", 15),
            ("6011", 16),
            ("36", 14),
            ("3528", 16),
        )
    )
    body = prefix + "".join(draw.choices(string.digits, k=size - len(prefix) - 1))
    digits = body + luhn.calc_check_digit(body)
    groups = (
        [digits[at : at + 4] for at in range(0, 16, 4)]
        if size == 16
        else [digits[:4], digits[4:10], digits[10:]]
    )
    return draw.choice(("", " ", "-")).join(groups)


def account(draw: random.Random) -> str:
    """An IBAN of nine countries with the right check digits, in groups or not."""
    forms = {
        "DE": "n" * 18,
        "FR": "n" * 23,
        "GB": "aaaa" + "n" * 14,
        "NL": "aaaa" + "n" * 10,
        "AT": "n" * 16,
        "PT": "n" * 21,
        "DK": "n" * 14,
        "CH": "n" * 17,
        "IE": "aaaa" + "n" * 14,
    }
    while True:
        country = draw.choice(sorted(forms))
        body = "".join(
            draw.choice(string.digits if mark == "n" else string.ascii_uppercase) for mark in forms[country]
        )
        value = country + iban.calc_check_digits(f"{country}00{body}") + body
        if iban.is_valid(value, check_country=False):
            return (
                " ".join(value[at : at + 4] for at in range(0, len(value), 4))
                if draw.random() < 0.6
                else value
            )


def address(draw: random.Random, voice: str) -> str:
    """An e-mail address, plain or written out."""
    who = f"{draw.choice(FIRST).lower()}{draw.choice(('.', '_', ''))}{draw.choice(LAST).lower()}{draw.choice(('', str(draw.randrange(99))))}"
    host, ending = (
        draw.choice(("acme", "mail-box", "north.example", "firma", "posta")),
        draw.choice(("com", "de", "co.uk", "org", "io", "example", "fr")),
    )
    if draw.random() < 0.25:
        at = draw.choice(
            (" [at] ", " (at) ", "[at]") if voice == "development" else (" {at} ", "(at)", " [at] ")
        )
        return f"{who}{at}{host.replace('.', '')}{draw.choice((' [dot] ', ' (dot) ', '.'))}{ending.partition('.')[0]}"
    return f"{who}@{host}.{ending}"


def host(draw: random.Random) -> str:
    if draw.random() < 0.2:
        return "2001:db8:" + ":".join(f"{draw.randrange(1, 65535):x}" for _ in range(6))
    first = draw.choice((10, 192, 172, 203, 81, 94, 185))
    return f"{first}.{168 if first == 192 else draw.randrange(16, 31)}.{draw.randrange(1, 254)}.{draw.randrange(1, 254)}"


def token(draw: random.Random, size: int, letters: str = string.ascii_letters + string.digits) -> str:
    return "".join(draw.choices(letters, k=size - 2)) + draw.choice("abcdef") + draw.choice(string.digits)


def password(draw: random.Random) -> str:
    words = ("sommer", "dragon", "Blue", "soleil", "hunter", "Lucky", "maison", "Tiger", "verano", "Regen")
    return draw.choice(words) + str(draw.randrange(10, 9999)) + draw.choice(("", "!", "#", "$x", "_a"))


SECRETS: dict[str, tuple[tuple[str, Callable[[random.Random], str]], ...]] = {
    "development": (
        ("my password is {}", password), ("Passwort: {}", password), ("mot de passe: {}", password), ("la contraseña es {}", password),
        ("pw: {}", password), ("wachtwoord is {}", password), ("senha: {}", password), ("AWS_SECRET_ACCESS_KEY={}", lambda d: token(d, 40)),
        ("client_secret: {}", lambda d: token(d, 34)), ("api_key = \"{}\"", lambda d: token(d, 24)), ("pin: {}", lambda d: str(d.randrange(1000, 9999))),
        ("key sk-proj-{}", lambda d: token(d, 24)), ("https://app.example/reset?token={}&lang=en", lambda d: token(d, 20)),
        ("Authorization: Bearer {}", lambda d: token(d, 32)), ("postgres://app:{}@db.example/main", lambda d: token(d, 12)),
        ("https://app.example/reset-password/{}", lambda d: token(d, 24)), ("the verification code is {}", lambda d: str(d.randrange(100000, 999999))),
        ("GITHUB_TOKEN=ghp_{}", lambda d: token(d, 36)), ("secret {} leaked", lambda d: token(d, 32, "0123456789abcdef")),
        ("{} is the key id", lambda d: "AKIA" + "".join(d.choices(string.ascii_uppercase + string.digits, k=16))),
    ),
    "held out": (
        ("the password was {} until today", password), ("Kennwort lautet {}", password), ("mdp : {}", password), ("mi clave es {}", password),
        ("password for the shop: {}", password), ("user: anna / pass: {}", password), ("a senha é {}", password), ("DB_PASSWORD={}", password),
        ("stripe: sk_live_{}", lambda d: token(d, 24)), ("SLACK_SIGNING_SECRET: {}", lambda d: token(d, 32, "0123456789abcdef")),
        ("my PIN is {}", lambda d: str(d.randrange(1000, 9999))), ("\"accessToken\": \"{}\"", lambda d: token(d, 30)),
        ("https://shop.example/confirm?sig={}", lambda d: token(d, 22)), ("curl -H 'Authorization: token {}'", lambda d: token(d, 32)),
        ("redis://:{}@cache.example:6379", lambda d: token(d, 16)), ("https://id.example/invite/{}", lambda d: token(d, 22)),
        ("OTP {}", lambda d: str(d.randrange(100000, 999999))), ("glpat-{}", lambda d: token(d, 20)), ("PHPSESSID={}", lambda d: token(d, 26)),
        ("eyJhbGciOiJIUzI1NiJ9.{}", lambda d: f"eyJ{token(d, 30)}.{token(d, 40)}"),
    ),
}  # fmt: skip
WHOLE = (
    "sk-proj-{}",
    "ghp_{}",
    "sk_live_{}",
    "glpat-{}",
    "eyJhbGciOiJIUzI1NiJ9.{}",
)  # the prefix is part of the secret


def secret(draw: random.Random, voice: str) -> Case:
    form, make = draw.choice(SECRETS[voice])
    value = make(draw)
    whole = next((start.format(value) for start in WHOLE if start in form), value)
    return Case(form.format(value), "SECRET", whole)


def reference(draw: random.Random) -> str:
    return draw.choice((
        lambda: str(draw.randrange(100_000, 99_999_999)),
        lambda: f"{draw.choice(('INV', 'RE', 'AB', 'ORD', 'X'))}-{draw.randrange(2019, 2027)}-{draw.randrange(1000, 9999)}",
        lambda: f"{draw.choice('ABCDE')}{draw.randrange(10_000, 999_999)}",
        lambda: f"#{draw.randrange(10_000, 999_999)}",
    ))()  # fmt: skip


def person(draw: random.Random, sentence: str) -> Case:
    """A full or single name of the row's own people, sometimes one that is a word too."""
    if draw.random() < 0.2:
        first, last = draw.choice(WORD_NAMES), draw.choice(LAST)
        return Case(sentence.format(f"{first} {last}"), "NAME", f"{first} {last}", (f"{first} {last}",))
    name = f"{draw.choice(FIRST)} {draw.choice(LAST)}"
    use = name if draw.random() < 0.5 else name.split()[0]
    return Case(sentence.format(use), "NAME", use, (name, f"{draw.choice(FIRST)} {draw.choice(LAST)}"))


def personal_cases(voice: str) -> list[Case]:
    """PER_KIND cases of each kind, drawn by the voice's seed."""
    draw = random.Random(f"personal {voice}")
    makers: dict[str, Callable[[], str]] = {
        "PHONE": lambda: phone(draw, voice), "CARD": lambda: card(draw), "IBAN": lambda: account(draw),
        "EMAIL": lambda: address(draw, voice), "IP": lambda: host(draw), "ORDER_ID": lambda: reference(draw),
    }  # fmt: skip
    cases = []
    for kind in KINDS:
        for _ in range(PER_KIND):
            sentence = draw.choice(SENTENCES[voice][kind])
            if kind == "SECRET":
                cases.append(secret(draw, voice))
            elif kind == "NAME":
                cases.append(person(draw, sentence))
            else:
                value = makers[kind]()
                cases.append(
                    Case(sentence.format(value), kind, value.lstrip("#") if kind == "ORDER_ID" else value)
                )
    return cases


def _number(draw: random.Random, digits: int) -> str:
    return str(draw.randrange(10 ** (digits - 1), 10**digits))


Family = tuple[str, Callable[[random.Random], str], Sequence[str]]
PLAIN: dict[str, tuple[Family, ...]] = {
    "development": (
        ("timestamps", lambda d: f"2026-0{d.randrange(1, 9)}-{d.randrange(10, 28)} {d.randrange(10, 23)}:{d.randrange(10, 59)}:{d.randrange(10, 59)}.{_number(d, 6)}", ("the log says {} timeout", "{} worker started")),
        ("steps", lambda d: _number(d, d.randrange(4, 8)), ("error 1603 after step {}", "we sat in room {}", "{} rows were read", "in line {} of the file", "it took {} ms")),
        ("decimals", lambda d: f"{d.randrange(1, 999)}.{_number(d, 14)}", ("the result is {}", "loss={} at the end")),
        ("ranges", lambda d: f"{d.randrange(100, 500)}-{d.randrange(500, 900)}", ("between {} degrees it melts", "pages {} are missing")),
        ("commits", lambda d: "".join(d.choices("0123456789abcdef", k=40)), ("commit {} broke it", "since {} the build fails")),
        ("hashes", lambda d: "".join(d.choices("0123456789abcdef", k=32)), ("md5 {} of the file", "trace id {}")),
        ("versions", lambda d: f"{d.randrange(1, 20)}.{d.randrange(10)}.{d.randrange(10)}.{d.randrange(300)}", ("cuDNN {} is missing", "version {} crashes", "after the update to {} it hangs")),
        ("browsers", lambda d: f"{d.randrange(90, 130)}.0.0.0", ("Chrome {} shows a blank page", "Edge {} too")),
        ("epochs", lambda d: f"1{_number(d, 9)}", ("expires at {} they say", "ts={} in the event")),
        ("milliseconds", lambda d: f"17{_number(d, 11)}", ("the event of {} came twice", '{{"time": {}}}')),
        ("dates", lambda d: f"{d.randrange(10, 28)}.0{d.randrange(1, 9)}.2026", ("since {} it fails", "seit dem {} geht nichts")),
        ("amounts", lambda d: f"{d.randrange(1, 99)},{_number(d, 3)}.{d.randrange(10, 99)}", ("I paid {} euros", "{} USD were taken")),
        ("uuids", lambda d: str(uuid.UUID(int=d.getrandbits(128))), ("request {} failed", "guid {}")),
        ("issues", lambda d: f"#{_number(d, 5)}", ("fixed in issue {}", "see {} please", "duplicate of {}")),
        ("colours", lambda d: f"#{_number(d, 6)}", ("the background: {} is ugly", "color {} on white")),
        ("wrong cards", lambda d: f"9{_number(d, 15)}", ("the part has {} engraved", "barcode {}")),
        ("isbn", lambda d: f"978-3-16-{_number(d, 6)}-{d.randrange(9)}", ("the book {} is out of stock",)),
        ("passwords in words", lambda d: d.choice(("wrong", "expired", "missing", "required", "not accepted", "too short")), ("my password is {}", "the token is {}", "password: {}", "the pin was {}")),
        ("placeholders", lambda d: d.choice(("<token>", "YOUR_KEY", "$TOKEN", "****", "xxxx", "{{password}}")), ("set password={} first", "token: {}")),
        ("packages", lambda d: f"{d.choice(('react', 'lodash', '@types/node', 'vue'))}@{d.randrange(1, 20)}.{d.randrange(9)}.{d.randrange(9)}", ("we use {} here",)),
        ("words that are names", lambda d: d.choice(("Mark it as done", "Grant me access", "Will you help", "Page not found", "May I ask", "Bill it again", "Price is wrong", "Hope it works")), ("{}, please.", "Hello. {}", "I wrote: {}")),
        ("code", lambda d: d.choice(("std::vector<int>", "a[10:20:2]", "10:30:45", "abc::def", "00:1a:2b:3c:4d:5e")), ("the line {} fails",)),
        ("coordinates", lambda d: f"{d.randrange(10, 60)}.{_number(d, 6)}, {d.randrange(10, 60)}.{_number(d, 6)}", ("at {} on the map",)),
        ("error codes", lambda d: f"{d.choice(('E', 'ERR', '0x'))}{_number(d, 8)}", ("error code {} appears", "code {}")),
        ("postcodes", lambda d: _number(d, 5), ("I live in {} Berlin", "zip {}")),
        ("years", lambda d: f"{d.randrange(2015, 2027)}", ("invoice of {} is missing", "order in {}", "account since {}")),
    ),
    "held out": (
        ("clock ranges", lambda d: f"{d.randrange(7, 12)}:30-{d.randrange(13, 20)}:15", ("we are open {}", "the window {} never loads")),
        ("ISO stamps", lambda d: f"2025-1{d.randrange(0, 3)}-{d.randrange(10, 28)}T{d.randrange(10, 23)}:{d.randrange(10, 59)}:00.{_number(d, 3)}Z", ("{} INFO started", "at {} it stopped")),
        ("counts", lambda d: _number(d, d.randrange(5, 9)), ("{} users are affected", "epoch 3, batch {}", "after {} requests it dies", "port {} is closed", "row {} is broken")),
        ("scientific", lambda d: f"{d.randrange(1, 9)}.{_number(d, 9)}e-0{d.randrange(1, 9)}", ("lr={} was used", "value {} overflows")),
        ("sizes", lambda d: f"{d.randrange(100, 999)} {d.randrange(100, 999)} {d.randrange(100, 999)}", ("the file has {} bytes", "we sold {} units")),
        ("short commits", lambda d: "".join(d.choices("0123456789abcdef", k=10)), ("reverted {} yesterday", "HEAD is {}")),
        ("sha256", lambda d: "".join(d.choices("0123456789abcdef", k=64)), ("sha256:{} pulled", "digest {}")),
        ("software", lambda d: f"{d.randrange(1, 12)}.{d.randrange(20)}.{d.randrange(20)}.{d.randrange(9000)}", ("driver {} was installed", "Firmware {} hilft nicht", "build {} is slow")),
        ("unix times", lambda d: f"16{_number(d, 8)}", ("timestamp {} in the log", "created={} updated=later")),
        ("American dates", lambda d: f"0{d.randrange(1, 9)}/{d.randrange(10, 28)}/2025", ("broken since {}", "delivered {}")),
        ("prices", lambda d: f"{d.randrange(1, 9)}.{_number(d, 3)},{d.randrange(10, 99)} €", ("das kostet {}", "refund of {} please")),
        ("request ids", lambda d: "req_" + "".join(d.choices("0123456789abcdef", k=12)), ("id {} failed", "request {}")),
        ("pull requests", lambda d: f"#{_number(d, 4)}", ("closed by PR {}", "related to {}", "resolves {}")),
        ("part numbers", lambda d: f"{d.choice('KLM')}{_number(d, 3)}-{_number(d, 2)}", ("the hinge {} is missing", "filter {} does not fit")),
        ("serial words", lambda d: d.choice(("incorrect", "reset yesterday", "unknown to me", "case sensitive", "the same for all")), ("is the password {}", "our token is {}", "The secret is {}")),
        ("templates", lambda d: d.choice(("${API_KEY}", "os.environ['KEY']", "<your-secret>", "REDACTED", "null")), ("api_key = {}", "secret: {}")),
        ("images", lambda d: f"logo@{d.randrange(2, 4)}x.png", ("the picture {} is blurred",)),
        ("sentences with names", lambda d: d.choice(("Art is expensive", "Summer is over", "Best of all", "Long wait times", "Case closed", "Young users complain", "Rose by ten percent")), ("{}.", "Well, {} today.", "Sales note: {}")),
        ("C++", lambda d: d.choice(("boost::asio::ip", "ns::f(1,2)", "x:y:z", "12:34:56", "de:ad:be")), ("{} does not compile",)),
        ("geo", lambda d: f"-{d.randrange(10, 80)}.{_number(d, 5)}", ("longitude {}", "temperature {} K")),
        ("hex", lambda d: f"0x{_number(d, 8)}", ("at address {}", "exception {} thrown")),
        ("percent", lambda d: f"{d.randrange(10, 99)}.{_number(d, 2)}%", ("load is {}", "battery at {}")),
        ("seasons", lambda d: f"{d.randrange(2010, 2026)}/{d.randrange(10, 27)}", ("season {} is wrong", "contract {} ended")),
        ("ports", lambda d: f"localhost:{_number(d, 4)}", ("open {} in the browser",)),
    ),
}  # fmt: skip


def look_alike_cases(voice: str) -> list[Case]:
    """LOOK_ALIKES texts in which nothing is to be hidden, an equal share of each family."""
    draw = random.Random(f"plain {voice}")
    people = (
        ("Mark Will", "Grant Page", "May Price", "Bill Hope")
        if voice == "development"
        else ("Art Summer", "Rose Young", "Long Case", "Best May")
    )
    cases = []
    for at in range(LOOK_ALIKES):
        family, make, sentences = PLAIN[voice][at % len(PLAIN[voice])]
        cases.append(Case(draw.choice(sentences).format(make(draw)), "", "", people, family))
    return cases
