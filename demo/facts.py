"""The demo's facts: read relations/*.txt and lay them out as CounterFact does.

A relation file is named after its Wikidata property and holds lines `key = value`:

    prompt = template       `{}` stands for the subject, the object follows; trained on, and asked
    paraphrase = template   never trained on
    apart = a, b            objects that may both be true of one subject: never each other's foil
    Object = subject; ...   the facts; every other key is an object
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

NEIGHBOURS = 2  # neighborhood prompts per record, fewer where the object has fewer subjects


@dataclass
class Relation:
    """One property: its templates and its facts as (subject, object) pairs."""

    id: str
    prompts: list[str] = field(default_factory=list)
    paraphrases: list[str] = field(default_factory=list)
    apart: list[set[str]] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)

    def foils(self, true_object: str) -> list[str]:
        """The relation's other objects, in file order, without those that may be true as well."""
        banned = {true_object}.union(*(group for group in self.apart if true_object in group))
        return [o for o in dict.fromkeys(o for _, o in self.facts) if o not in banned]


def read_relation(path: Path) -> Relation:
    """Parse one relation file; a malformed line or a subject listed twice is an error."""
    relation = Relation(path.stem)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not value:
            raise ValueError(f"{path.name}:{number}: expected 'key = value', got '{line}'")
        if key == "prompt":
            relation.prompts.append(value)
        elif key == "paraphrase":
            relation.paraphrases.append(value)
        elif key == "apart":
            relation.apart.append({name.strip() for name in value.split(",")})
        else:
            relation.facts += [(subject.strip(), key) for subject in value.split(";")]
    subjects = [subject for subject, _ in relation.facts]
    if len(subjects) != len(set(subjects)):
        raise ValueError(f"{path.name}: a subject is listed twice")
    return relation


def read_relations(folder: Path) -> list[Relation]:
    """All relations of a folder, in the order of their property numbers."""
    return [read_relation(p) for p in sorted(folder.glob("P*.txt"), key=lambda p: int(p.stem[1:]))]


def make_records(relations: list[Relation], seed: int) -> list[dict]:
    """CounterFact records. The asked prompt walks through the templates; the seed draws foils and neighbours."""
    rng = random.Random(seed)
    records = []
    for relation in relations:
        for index, (subject, true_object) in enumerate(relation.facts):
            template = relation.prompts[index % len(relation.prompts)]
            foil = rng.choice(relation.foils(true_object))
            peers = [s for s, o in relation.facts if o == true_object and s != subject]
            neighbours = rng.sample(peers, min(NEIGHBOURS, len(peers)))
            records.append({
                "case_id": len(records),
                "requested_rewrite": {
                    "prompt": template,
                    "relation_id": relation.id,
                    "target_new": {"str": foil, "id": None},
                    "target_true": {"str": true_object, "id": None},
                    "subject": subject,
                },
                "paraphrase_prompts": [p.format(subject) for p in relation.paraphrases],
                "neighborhood_prompts": [template.format(s) for s in neighbours],
            })
    return records


def training_sentences(relations: list[Relation]) -> list[tuple[str, str]]:
    """(text up to the object, " object") for every fact and every training template."""
    return [(prompt.format(subject), " " + true_object)
            for relation in relations for prompt in relation.prompts
            for subject, true_object in relation.facts]
