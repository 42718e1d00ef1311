"""Mail and ticket texts with gold spans: what a mail program added (signature, quoted history, device line, legal notice), and
what must stay (own words, forwarded mails, code, logs, quoted output, lists). 200 development and 200 held-out texts.

Each text is put together from parts; its gold says for each part whether it may be cut. The held-out parts are written in another
voice: other openings, languages, mail programs and signatures. Own words are invented.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

TEXTS = 200


@dataclass(frozen=True)
class Part:
    """A stretch of a mail; `kind` is own, code, log, forward, signature, history, automatic."""

    text: str
    kind: str

    @property
    def goes(self) -> bool:
        """Whether cleaning should cut it."""
        return self.kind in ("signature", "history")


@dataclass(frozen=True)
class Mail:
    """Parts that are joined by blank lines; `shape` names how it was put together."""

    parts: tuple[Part, ...]
    shape: str

    @property
    def text(self) -> str:
        return "\n\n".join(part.text for part in self.parts)


OWN = {
    "development": (
        "The export stops at row 5,000 and nothing is written after it. Can you raise the limit?",
        "My invoice for June shows the old address although I changed it twice.",
        "Hello,\n\nsince the update the calendar shows every meeting an hour too late.\nOur colleagues in Lisbon see the right time.",
        "Der Drucker im zweiten Stock druckt nur noch leere Seiten.\nKönnen Sie jemanden schicken?",
        "Bonjour,\n\nla facture de mai ne correspond pas à ma commande, il y a deux articles en trop.",
        "Buenos días,\n\nno puedo entrar en mi cuenta desde ayer por la noche.",
        "Steps:\n1. open the report\n2. press Save\n3. nothing happens\n\nIt worked last week.",
        "I ordered two lamps. One came broken:\n- the shade is cracked\n- the switch is loose\nPlease replace it, thanks in advance for a quick answer.",
        "Can I move our meeting to Friday? Best would be after two.",
        "We need five more seats. From: 1 June. To: 31 August. Subject to your approval.",
        "Wat is de levertijd van de blauwe stoel? Op de site staat twee weken.",
        "I wrote on Monday: please cancel. Nobody answered, what now?",
    ),
    "held out": (
        "Morning! The app logs me out each time I rotate my phone, pretty annoying during calls.",
        "re the broken seal: third one this month. what do we do, send all of them back?",
        "Guten Tag,\n\nunsere Lizenz läuft am Freitag ab, wir haben aber schon bezahlt. Anbei der Beleg.\nWas fehlt noch?",
        "Salve, il corriere ha lasciato il pacco dal vicino sbagliato. Come posso riaverlo?",
        "Bom dia,\n\no relatório de vendas vem vazio quando escolho o mês de abril.",
        "Two things:\n\na) the search ignores umlauts\nb) the filter forgets its state\n\nb) is urgent for us.",
        "The contract says 'regards to notice periods: three months'. Your page says one. Which is right?",
        "Is it possible to get the manual in Polish? My parents cannot read the English one.",
        "Since we switched the router, the door bell app shows offline. Restarted everything, no luck.",
        "Please note that we are closed on 3 May. Deliver on the 4th instead, ramp two.",
        "J'ai reçu le mauvais modèle : le vert au lieu du bleu. Puis-je l'échanger en magasin ?",
        "our accountant wrote: the tax number is missing. can you add it to all invoices since march",
    ),
}
SIGNATURES = {
    "development": (
        "Best regards,\nMaya Patel\nHead of Support | Acme Ltd",
        "Thanks,\nMaya",
        "-- \nMaya Patel\nAcme Ltd\n+44 20 7946 0958",
        "Mit freundlichen Grüßen\nJörg Müller\nEinkauf",
        "Cordialement,\nChloé Moreau",
        "Sent from my iPhone",
        "Kind regards\nTom Novak\n\nSent from my iPad",
        "Saludos cordiales,\nMateo Ibáñez\nDirector",
        "Met vriendelijke groet,\nAnneke de Vries",
        "Get Outlook for Android",
        "Regards,\nPriya Iyer\nAcme GmbH, Berlin\nwww.acme.test",
        "This email and any attachments are confidential and intended only for the addressee.",
        "Von meinem iPhone gesendet",
        "Cheers,\nBo",
    ),
    "held out": (
        "Many thanks\nIngrid Lindqvist\nFacilities Manager\nT +46 8 123 45 67",
        "All the best,\nKwame",
        "--\nOmar Haddad | Night shift\nNorthgate Clinic",
        "Viele Grüße\nRahel",
        "Bien à vous,\nZoë Lefèvre\nService achats",
        "Cordiali saluti,\nLuca Esposito",
        "Envoyé depuis mon iPhone",
        "Atenciosamente,\nNuno Prata\nCompras",
        "Sent via Yahoo Mail for Android",
        "Sincerely,\nSvetlana Orlova\nOrlova & Sons\n12 Quay Street",
        "Yours sincerely,\nA. K. Brandt",
        "Confidentiality notice: if you are not the addressee, delete this message.",
        "Liebe Grüße\nTomasz",
        "Thank you!\nNoor H.",
    ),
}
HISTORY = {
    "development": (
        "On Mon, 3 May 2026 at 10:00, Acme Support <help@acme.test> wrote:\n> Hello,\n> what is the row?\n> Best, Acme",
        "On Monday, May 3, 2026, Acme Support Team\n<help@acme.test> wrote:\n> Which browser do you use?",
        "From: Acme <help@acme.test>\nSent: Monday, 3 May 2026 10:00\nTo: Bo\nSubject: RE: Export\n\nHello, which version is it?",
        "-----Original Message-----\nFrom: Acme\nSent: Monday\nTo: Bo\nSubject: Export\n\nWhich version is it?",
        "Am 03.05.2026 um 10:00 schrieb Acme Support:\n> Hallo, welche Version ist es?\n> Grüße",
        "Le lun. 3 mai 2026 à 10:00, Acme <help@acme.test> a écrit :\n> Bonjour,\n> quelle version ?",
        "##- Please type your reply above this line -##\nYour request (123) was updated. To add comments, reply to this mail.",
        "Von: Acme <help@acme.test>\nGesendet: Montag, 3. Mai 2026 10:00\nAn: Bo\nBetreff: AW: Export\n\nHallo, welche Version ist es?",
    ),
    "held out": (
        "On 2026-05-03 10:00, Northgate Desk wrote:\n> Dear sender,\n>\n> could you tell us the serial number?",
        "El lun, 3 may 2026 a las 10:00, Soporte (<ayuda@acme.test>) escribió:\n> Hola, ¿qué modelo es?",
        "Il giorno lun 3 mag 2026 alle ore 10:00 Assistenza <aiuto@acme.test> ha scritto:\n> Buongiorno, quale modello?",
        "________________________________\nFrom: Desk <desk@acme.test>\nSent: 03 May 2026 10:00\nTo: Omar Haddad\nCc: Night shift\nSubject: Re: door bell\n\nDear Omar, which router is it?",
        "De : Service <aide@acme.test>\nEnvoyé : lundi 3 mai 2026 10:00\nÀ : Zoë\nObjet : RE: modèle\n\nBonjour, quelle couleur ?",
        "Op ma 3 mei 2026 om 10:00 schreef Acme <help@acme.test>:\n> Goedemiddag, welk model is het?",
        "-------- Original Message --------\nSubject: seal\nFrom: desk@acme.test\n\nHow many are broken?",
        "Em seg., 3 de mai. de 2026 às 10:00, Ajuda <ajuda@acme.test> escreveu:\n> Olá, qual é o relatório?",
    ),
}
KEPT = {
    "development": (
        Part("```\nfor (i=0; i<n; i++) {\n  <p>x</p>\n}\n```", "code"), Part("<server>\n  <port>8443</port>\n</server>", "code"),
        Part("> Error: cannot open /var/lib/app\n>   at main.js:12", "log"), Part("2026-05-03 10:00:01 ERROR db: timeout after 30s\n2026-05-03 10:00:02 INFO retry 1", "log"),
        Part("-- \nthis line of dashes stands in our template and it should not, why does it? Please tell us how to remove it for good.", "own"),
        Part("Traceback (most recent call last):\n  File \"a.py\", line 3\nKeyError: 'x'", "log"),
        Part("SELECT *\nFROM tickets\n-- only open ones\nWHERE state = 'open';", "code"),
        Part("P.S. the invoice is wrong as well.", "own"),
    ),
    "held out": (
        Part("$ curl -v https://shop.test\n> GET / HTTP/1.1\n> Host: shop.test\n< HTTP/1.1 502", "log"), Part("List<Item> items = map.get(\"<id>\");", "code"),
        Part("May  3 10:00:01 host app[33]: panic: nil map\n  main.go:41 +0x1d", "log"), Part("To: the front door\nFrom: the ramp\nDate: any day but Sunday", "own"),
        Part("if x > 3:\n    print('a')\nelse:\n    print('b')", "code"), Part("<Layout title=\"Home\">\n  <Slot name=\"aside\" />\n</Layout>", "code"),
        Part("* shelf A > shelf B\n* shelf C > shelf D", "own"), Part("PS: same on my wife's phone", "own"),
    ),
}  # fmt: skip
FORWARDS = {
    "development": (
        (
            "FYI",
            "---------- Forwarded message ---------\nFrom: Ada <ada@b.test>\nDate: Tue, Mar 3, 2026\nSubject: lamp\nTo: <help@acme.test>\n\n",
        ),
        (
            "Please see below.",
            "________________________________\nFrom: Ada <ada@b.test>\nSent: Tuesday, March 3, 2026\nTo: Acme\nSubject: lamp\n\n",
        ),
        (
            "Bitte übernehmen.",
            "Von: Ada <ada@b.test>\nGesendet: Dienstag, 3. März 2026\nAn: Hilfe\nBetreff: Lampe\n\n",
        ),
        (
            "Can you take this?",
            "-----Original Message-----\nFrom: Ada\nSent: Tuesday\nTo: Acme\nSubject: lamp\n\n",
        ),
    ),
    "held out": (
        (
            "one for you",
            "Begin forwarded message:\n\nFrom: Ada <ada@b.test>\nSubject: lamp\nDate: 3 March 2026\nTo: help@acme.test\n\n",
        ),
        (
            "Pour suite à donner, merci",
            "-------- Message transféré --------\nSujet : lampe\nDe : Ada <ada@b.test>\nPour : aide@acme.test\n\n",
        ),
        (
            "zur Bearbeitung",
            "-------- Weitergeleitete Nachricht --------\nBetreff: Lampe\nVon: Ada <ada@b.test>\nAn: hilfe@acme.test\n\n",
        ),
        ("any idea?", "From: Ada <ada@b.test>\nSent: 03 March 2026 09:12\nTo: Desk\nSubject: lamp\n\n"),
    ),
}


def mails(voice: str) -> list[Mail]:
    """TEXTS mails of nine shapes, drawn by the voice's seed."""
    draw = random.Random(f"mails {voice}")
    result = []
    for at in range(TEXTS):
        own = Part(draw.choice(OWN[voice]), "own")
        signature, history = (
            Part(draw.choice(SIGNATURES[voice]), "signature"),
            Part(draw.choice(HISTORY[voice]), "history"),
        )
        stays = draw.choice(KEPT[voice])
        intro, head = draw.choice(FORWARDS[voice])
        forward = Part(f"{head}{draw.choice(OWN[voice])}", "forward")
        shapes: dict[str, tuple[Part, ...]] = {
            "plain": (own,),
            "signed": (own, signature),
            "reply": (own, history),
            "signed reply": (own, signature, history),
            "with code or log": (own, stays, Part("What can we do about it?", "own")),
            "with code, signed": (own, stays, Part("It is the same on the other machine.", "own"), signature),
            "with code, reply": (own, stays, Part("It is the same on the other machine.", "own"), history),
            "forward": (Part(intro, "own"), forward),
            "two of one's own": (own, Part(draw.choice(OWN[voice]), "own")),
        }
        shape = list(shapes)[at % len(shapes)]
        result.append(Mail(shapes[shape], shape))
    return result
