"""Names of people in free English and French sentences that no column and no cue announces, and capitalised look-alikes:
products, companies, places, months, menu entries. Two voices with other names and sentences; the held-out one is only scored.
"""

from __future__ import annotations

import random

from benchmarks.redaction_cases import Case

PER_LANGUAGE = 200
FIRST = {
    "development": "Maria James Aisha Peter Laura Daniel Sofia Thomas Emily David Claire Julien Camille Antoine Priya Kevin",
    "held out": "Olivia Robert Fatima George Hannah Samuel Chloé Nicolas Margaux Benoît Ananya Patrick Rebecca Victor Manon Étienne",
}
LAST = {
    "development": "Johnson Lopez Nguyen O'Connor Schneider Kowalska Lefebvre Dubois Girard Sharma Wright Thompson",
    "held out": "Anderson Fernandez Ahmed McCarthy Petersen Novak Rousseau Chevalier Garnier Kapoor Mitchell Robinson",
}
SENTENCES = {
    "development": {
        "en": (
            "{} told me that the refund would arrive on Friday.", "The technician {} came by and replaced the router.",
            "We need a new laptop for {}, who starts on Monday.", "Access for {} should be removed, she left the company.",
            "Yesterday {} could still open the report.", "Please add {} to the distribution list.",
            "The contract was signed by {} in March.", "{} and I cannot print since the update.",
        ),
        "fr": (
            "{} m'a dit que le remboursement arriverait vendredi.", "Le technicien {} est passé remplacer la box.",
            "Il faut un nouvel ordinateur pour {}, qui commence lundi.", "Merci de supprimer l'accès de {}, elle a quitté la société.",
            "Hier {} pouvait encore ouvrir le rapport.", "Le contrat a été signé par {} en mars.",
        ),
    },
    "held out": {
        "en": (
            "My colleague {} has the same problem with the printer.", "The invoice was approved by {} last week.",
            "{} is on holiday until the end of the month, who takes over?", "Could you reset the password of {}?",
            "I was on the phone with {} for an hour and nothing changed.", "The package was left with {} next door.",
            "According to {} the order was cancelled.", "Our manager {} asked for a copy of the bill.",
        ),
        "fr": (
            "Ma collègue {} a le même problème avec l'imprimante.", "La facture a été validée par {} la semaine dernière.",
            "{} est en congé jusqu'à la fin du mois.", "Pouvez-vous réinitialiser le mot de passe de {} ?",
            "D'après {}, la commande a été annulée.", "Le colis a été laissé chez {} à côté.",
        ),
    },
}  # fmt: skip
THINGS = {
    "development": (
        "Google Drive", "Microsoft Teams", "Adobe Acrobat", "New York", "San Francisco", "Galaxy Tab", "Windows Server", "Black Friday",
        "Visa Gold", "Export Settings", "Premium Plan", "Saint Denis", "Deutsche Bank", "Salesforce", "Jenkins", "Jira", "Slack", "Alexa",
    ),
    "held out": (
        "Power Point", "Apple Pay", "Dropbox Business", "Los Angeles", "Aix en Provence", "Surface Pro", "Oracle Linux", "Boxing Day",
        "American Express", "Account Overview", "Family Plan", "La Rochelle", "Credit Suisse", "Zendesk", "Kibana", "Confluence", "Siri", "Notion",
    ),
}  # fmt: skip
ABOUT_THINGS = {
    "en": (
        "{} does not open any more.", "I cannot connect to {} since the update.", "We bought it in {} last year.", "Please explain {} to me.",
        "The button {} is missing in the menu.", "How do I cancel {}?", "Since Monday {} asks for a code.",
    ),
    "fr": (
        "{} ne s'ouvre plus.", "Impossible de se connecter à {} depuis la mise à jour.", "Comment résilier {} ?",
        "Le bouton {} manque dans le menu.", "Depuis lundi {} demande un code.",
    ),
}  # fmt: skip


def name_cases(voice: str) -> list[Case]:
    """PER_LANGUAGE texts with a full name and as many with a thing, in each language."""
    draw = random.Random(f"names {voice}")
    firsts, lasts = FIRST[voice].split(), LAST[voice].split()
    cases = []
    for language, sentences in SENTENCES[voice].items():
        for _ in range(PER_LANGUAGE):
            name = f"{draw.choice(firsts)} {draw.choice(lasts)}"
            cases.append(Case(draw.choice(sentences).format(name), "NAME", name, (), language))
            thing = draw.choice(THINGS[voice])
            cases.append(Case(draw.choice(ABOUT_THINGS[language]).format(thing), "", "", (), language))
    return cases
