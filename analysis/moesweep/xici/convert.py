"""Questions files from public multilingual datasets: a line a question, {"id", "dataset", "relation", "languages":
{code: {"question", "answers"}}}. What was left out is counted on stderr."""

import argparse
import collections
import json
import pathlib
import sys

from .layouts import LAYOUTS, InputError


def convert(entries, dataset, languages=()):
    """(records, left out by reason) of the entries. Only these languages, or all. InputError where two entries of one
    question and language contradict each other."""
    records, seen, left_out = {}, {}, collections.Counter()
    for entry in entries:
        if languages and entry.language not in languages:
            continue
        if not entry.id or not entry.language:
            raise InputError(f"{entry.where}: {'language' if entry.id else 'id'} is empty")
        answers = list(dict.fromkeys(answer for answer in entry.answers if answer))
        key, content = (entry.id, entry.language), (entry.question, answers, entry.relation)
        if key in seen:
            where, before = seen[key]
            if before != content:
                raise InputError(f"{entry.where}: {entry.id} in {entry.language} differs from {where}")
            left_out["repeated"] += 1
            continue
        seen[key] = entry.where, content
        record = records.setdefault(entry.id, {"id": entry.id, "dataset": dataset, "languages": {}})
        if entry.relation and record.setdefault("relation", entry.relation) != entry.relation:
            raise InputError(f"{entry.where}: {entry.id}: {entry.relation}, elsewhere {record['relation']}")
        if not entry.question or not answers:
            left_out[entry.without if entry.question else "no question"] += 1
            continue
        record["languages"][entry.language] = {"question": entry.question, "answers": answers}
    return [record for record in records.values() if record["languages"]], left_out


def check(records, languages, options):
    """InputError where nothing can be contrasted, or a language or subject that was asked for is nowhere."""
    there = {code for record in records for code in record["languages"]} | {record.get("relation") for record in records}
    for asked in [*languages, *options.subject]:
        if asked not in there:
            raise InputError(f"{options.files[0]}: no question of '{asked}'")
    if not any(len(record["languages"]) > 1 for record in records):
        raise InputError(f"{options.files[0]}: {len(records)} questions, none of them in two languages")


def describe(records, left_out):
    """What was made, for stderr."""
    languages = {code for record in records for code in record["languages"]}
    sequences = sum(len(record["languages"]) for record in records)
    said = f"{len(records)} questions in {len(languages)} languages, {sequences} in all"
    lacking = sum(len(record["languages"]) < len(languages) for record in records)
    said += f"; {lacking} lack a language" if lacking else ""
    return "\n".join([said, *(f"left out, {reason}: {count}" for reason, count in sorted(left_out.items()))])


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="convert", description="Makes a questions file of `moesweep xici`.",
        epilog="Files of one language each (multiloko, global-mmlu, klar) are named after it, or given as LANGUAGE=FILE.")
    parser.add_argument("layout", choices=LAYOUTS)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("-o", "--out", required=True, type=pathlib.Path, help="the questions file")
    parser.add_argument("--dataset", help="the dataset's name in the file (default: the layout's)")
    parser.add_argument("--languages", default="", help="only these, such as en,de,fr")
    parser.add_argument("--subject", action="append", default=[], help="global-mmlu: only this subject; may be repeated")
    options = parser.parse_args(arguments)
    if options.subject and options.layout != "global-mmlu":
        parser.error("--subject is of global-mmlu alone")
    try:
        languages = [code for code in options.languages.split(",") if code]
        records, left_out = convert(LAYOUTS[options.layout](options.files, options), options.dataset or options.layout,
                                    languages)
        check(records, languages, options)
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        options.out.write_text(text, encoding="utf-8")
    except InputError as error:
        print(f"convert: {error}", file=sys.stderr)
        return 65
    except OSError as error:
        print(f"convert: {error.filename or options.out}: {error.strerror or error}", file=sys.stderr)
        return 74
    print(describe(records, left_out), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
