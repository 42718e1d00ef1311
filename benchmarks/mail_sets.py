"""Long and foreign tickets for benchmarks: whole dialogues, issues, long help-desk mails, German ones, made-up Spanish mails.

Each function gives `(text, label)` pairs. What is real comes from ../shared/data, and its folder has to be there; the
Spanish mails are made up here: about 300 words each, most of them small talk, one or two that name the matter, and one
in eight about another queue's matter than its label says, so that the ceiling lies near 88.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parents[1] / "../shared/data"
LONG = 100  # words from which on a text counts as long
MAILS, MAIL_WORDS, STRAY = 3_000, 300, 0.125
csv.field_size_limit(sys.maxsize // 2**32)

Pairs = list[tuple[str, str]]


def _rows(file: str) -> list[dict[str, str]]:
    with (DATA / file).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def is_long(text: str) -> bool:
    """Whether a text has as many words as a mail."""
    return len(text.split()) >= LONG


def it_service() -> Pairs:
    """One company's help-desk tickets, 8 queues, a median of 27 words."""
    return [(row["Document"], row["Topic_group"]) for row in _rows("it_service_tickets/tickets.csv")]


def it_service_long() -> Pairs:
    """Those of them with 100 words or more: 829 in 8 queues."""
    return [pair for pair in it_service() if is_long(pair[0])]


def issues_kind() -> Pairs:
    """Issues of 100 words or more with code and stack traces -> bug, feature or question."""
    rows = [(f"{row['title']}\n{row['body']}", row["label"]) for row in _rows("issues_dated/issues.csv")]
    return [(text[:6_000], label) for text, label in rows if is_long(text)]


def sgd_dialogues() -> Pairs:
    """The whole dialogue, 100 words or more, -> its service."""
    rows = []
    for part in ("train", "test"):
        lines = (DATA / f"sgd_replies/{part}.jsonl").read_text(encoding="utf-8").splitlines()
        rows += [json.loads(line) for line in lines]
    pairs = [(row["ticket"], row["service"].split("_")[0]) for row in rows if "|" not in row["service"]]
    return [pair for pair in pairs if is_long(pair[0])]


def german() -> Pairs:
    """German tickets, subject and body, 10 queues."""
    rows = _rows("german_tickets/tickets.csv")
    return [(f"{row['subject']}\n{row['body']}", row["queue"]) for row in rows]


MATTERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "facturación": (
        ("la factura de este mes", "el último recibo", "el cargo en mi tarjeta", "la cuota anual"),
        ("tiene un importe equivocado", "aparece dos veces", "lleva un IVA que no corresponde", "no cuadra"),
    ),
    "envíos": (
        ("el paquete", "mi pedido", "la caja con los repuestos", "el envío urgente"),
        ("no ha llegado", "lleva días en el almacén", "fue entregado en otra calle", "llegó roto"),
    ),
    "acceso": (
        ("la contraseña", "el código que mandan al móvil", "mi usuario", "la sesión"),
        ("ya no funciona", "caduca a los cinco minutos", "está bloqueado", "no me deja entrar"),
    ),
    "devoluciones": (
        (
            "el reembolso",
            "la devolución de las botas",
            "el cambio de talla",
            "el dinero del artículo devuelto",
        ),
        ("sigue pendiente", "fue rechazado", "no aparece en mi banco", "tarda demasiado"),
    ),
    "averías": (
        ("la pantalla", "el motor", "la batería", "el sensor de la puerta"),
        ("hace un ruido extraño", "se apaga sola", "no carga", "se calienta mucho"),
    ),
    "cancelación": (
        ("el contrato", "la suscripción", "el plan de empresa", "la renovación automática"),
        ("quiero darlo de baja", "no lo voy a seguir usando", "lo cancelo desde hoy", "no deseo renovarlo"),
    ),
    "ventas": (
        ("el precio para cincuenta puestos", "una demostración", "el descuento por volumen", "una oferta"),
        (
            "me interesa para mi equipo",
            "lo necesito por escrito",
            "quisiera compararlo",
            "me gustaría recibirlo",
        ),
    ),
    "datos personales": (
        ("mi dirección", "el número de teléfono", "el nombre de la empresa", "mi fecha de nacimiento"),
        ("ha cambiado", "está mal escrito", "debe borrarse", "no quiero que se comparta"),
    ),
}
OPENINGS = ("Buenos días", "Estimado equipo", "Hola a todos", "Buenas tardes", "Muy señores míos")
WHO = ("Mi compañera", "El encargado", "Nuestra oficina de Sevilla", "La persona de recepción", "Mi jefe")
DID = (
    "me pidió que escribiera este correo con todo detalle",
    "llamó dos veces y estuvo media hora esperando música",
    "recuerda que ustedes contestaban antes con mucha rapidez",
    "dice que en verano todo va un poco más lento",
    "prefiere que hablemos por correo y no por teléfono",
    "ha guardado las notas de la conversación anterior",
)
ASIDES = (
    "Somos clientes desde hace muchos años y estamos contentos en general",
    "Espero que hayan pasado un buen fin de semana a pesar de la lluvia",
    "No tengo mucha prisa, pero sí quisiera una respuesta esta semana",
    "He leído las preguntas frecuentes de su página y no encontré mi caso",
    "Perdonen la longitud de este mensaje, quería explicarlo bien",
    "Adjunto no mando nada, porque desde el móvil no me resulta fácil",
    "Ayer hablé de esto con un vecino que también les compra",
    "Si hace falta, puedo llamar por la mañana antes de las once",
)


def spanish_mails() -> Pairs:
    """Made-up Spanish mails of about 300 words, 8 queues; one in eight is about another queue's matter."""
    rng = np.random.default_rng(6)
    return [_mail(rng) for _ in range(MAILS)]


def _mail(rng: np.random.Generator) -> tuple[str, str]:
    names = sorted(MATTERS)
    label = names[rng.integers(len(names))]
    about = names[rng.integers(len(names))] if rng.random() < STRAY else label
    sentences = [_matter(about, rng) for _ in range(rng.integers(1, 3))]
    sentences += [_matter(names[rng.integers(len(names))], rng, before=True)]
    while sum(len(sentence.split()) for sentence in sentences) < MAIL_WORDS:
        aside = str(rng.choice(ASIDES)) if rng.random() < 0.5 else f"{rng.choice(WHO)} {rng.choice(DID)}"
        sentences.append(f"{aside}, el día {rng.integers(1, 29)}")
    order = rng.permutation(len(sentences))
    body = ". ".join(sentences[at] for at in order)
    return f"{rng.choice(OPENINGS)}:\n{body}.\nUn saludo.", label


def _matter(queue: str, rng: np.random.Generator, before: bool = False) -> str:
    """A sentence on a queue's matter, or on one that was settled before."""
    things, states = MATTERS[queue]
    thing, state = rng.choice(things), rng.choice(states)
    if before:
        return f"El año pasado hubo algo con {thing}, pero aquello ya quedó resuelto"
    return f"Escribo por {thing}: {state}"
