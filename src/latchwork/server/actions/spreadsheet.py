"""A list of people out of a spreadsheet's CSV, whoever wrote it: bytes in, cells out. It judges and stores nothing.

Encodings, delimiters, titles above the headings and the headings' spellings are found out; nothing else is guessed.
"""

import csv
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import islice

from latchwork.server.actions.office import Declined

BYTES_MAX = 4 * 1024 * 1024
ROWS_MAX = 10_000
HEAD_ROWS = 10
"""So far down the headings are looked for."""
DELIMITERS = ",;\t|"
NOTHING = {"-", "–", "—", "/", "?", "n/a", "none", "null", "unknown", "kein", "keine", "keiner", "k.a.", "unbekannt"}
"""What people write where there is nothing, but for a name."""
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))

HEADINGS: Mapping[str, str] = {
    "name": "name full_name resident resident_name recipient student employee person "
    "bewohner bewohnerin bewohnername mieter mietername vollständiger_name ganzer_name mitarbeiter",
    "first": "first_name given_name forename first vorname rufname",
    "last": "last_name surname family_name last nachname familienname zuname",
    "email": "email e_mail email_address e_mail_address mail mail_address "
    "emailadresse e_mail_adresse mailadresse mail_adresse",
    "unit": "unit unit_number flat flat_number apartment apartment_number apt room room_number suite "
    "wohnung wohnungsnummer wohnungsnr whg whg_nr wohneinheit einheit zimmer zimmernummer zimmer_nr appartement",
    "external_id": "id external_id person_id resident_id student_id student_number employee_id employee_number "
    "tenant_id tenant_number member_id matriculation_number personalnummer personal_nr pers_nr matrikelnummer "
    "matrikel_nr mieternummer mieter_nr bewohnernummer bewohner_nr kundennummer kunden_nr externe_id",
    "language": "language lang preferred_language sprache",
    "other_emails": "email_2 e_mail_2 mail_2 second_email other_email private_email zweite_e_mail weitere_e_mail",
    "mobile": "mobile mobile_phone mobile_number cell cell_phone handy handynummer mobil mobiltelefon mobilnummer",
    "phone": "phone phone_number telephone telephone_number tel telefon telefonnummer rufnummer",
    "kind": "kind type person_type art personenart",
    "contact": "key_contact contact_person ansprechpartner ansprechpartnerin kontaktperson",
}


@dataclass(frozen=True, slots=True)
class Row:
    number: int
    """As the spreadsheet counts, from 1."""
    cells: Mapping[str, str]
    """By the columns that were found: a name, and what else is in HEADINGS. Without needless blanks."""


@dataclass(frozen=True, slots=True)
class Sheet:
    rows: Sequence[Row]
    unused: Sequence[str]
    """Headings of columns that mean nothing to us."""


def read(data: bytes) -> Sheet:
    """Declines, with 413 or 422 and a sentence, what cannot be read or has no column of names."""
    if len(data) > BYTES_MAX:
        raise Declined(413, "too_large", "The file has more than {n} MB.", n=BYTES_MAX // 1024**2)
    text = _text(data)
    heads = [(_head(text, delimiter), delimiter) for delimiter in DELIMITERS]
    (at, columns), delimiter = max(heads, key=lambda found: len(found[0][1]))
    if not columns:
        raise _bad("In the first rows there is no heading such as Name, or First name and Last name.")
    rows: list[Row] = []
    unused: list[str] = []
    for number, cells in enumerate(_table(text, delimiter), 1):
        if number == at:
            unused = [heading for cell in cells if (heading := _clean(cell)) and _plain(heading) not in _FIELDS]
        row = {field: _told(field, cells[place]) for field, place in columns.items() if place < len(cells)}
        if number <= at or not any(row.values()):
            continue
        if len(rows) == ROWS_MAX:
            raise Declined(413, "too_large", "The file has more than {n} rows.", n=ROWS_MAX)
        rows.append(Row(number, {**dict.fromkeys(columns, ""), **row}))
    return Sheet([Row(row.number, _whole_name(row.cells)) for row in rows], unused)


def _text(data: bytes) -> str:
    if data.startswith(WORKBOOKS):
        raise _bad("This is a workbook. Save its sheet as CSV, and send that.")
    for encoding in _encodings(data):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise _bad("The file is no text. Save the sheet as CSV in UTF-8.")


def _encodings(data: bytes) -> list[str]:
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return [encoding]
    high, low = data[0:1000:2].count(0), data[1:1000:2].count(0)
    if (high + low) * 4 > len(data[:1000]):
        return ["utf-16-be" if high > low else "utf-16-le"]
    return ["utf-8", "cp1252"]


def _table(text: str, delimiter: str) -> Iterator[list[str]]:
    table = csv.reader(StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        yield from table
    except csv.Error as error:
        raise _bad(
            "Line {line} cannot be read, perhaps for a stray quotation mark: {why}.",
            line=table.line_num,
            why=str(error),
        ) from None


def _head(text: str, delimiter: str) -> tuple[int, dict[str, int]]:
    """The row of the headings, and where each field's column is; without a name's column none."""
    best: tuple[int, dict[str, int]] = (0, {})
    try:
        for number, cells in enumerate(islice(_table(text, delimiter), HEAD_ROWS), 1):
            found: dict[str, int] = {}
            for place, cell in enumerate(cells):
                if (field := _FIELDS.get(_plain(_clean(cell)))) is not None:
                    found.setdefault(field, place)
            if found.keys() & {"name", "last"} and len(found) > len(best[1]):
                best = number, found
    except Declined:  # not with this delimiter; the right one tells what is wrong
        pass
    return best


def _whole_name(cells: Mapping[str, str]) -> dict[str, str]:
    """Beside a first name, what is headed "Name" is the last."""
    told = dict(cells)
    first, last = told.pop("first", ""), told.pop("last", "")
    if first or last:
        told["name"] = f"{first} {last or told.get('name', '')}".strip()
    return {"name": "", **told}


def _told(field: str, cell: str) -> str:
    text = _clean(cell)
    named = field in ("name", "first", "last")
    return "" if not named and text.casefold().replace(" ", "") in NOTHING else text


def _clean(cell: str) -> str:
    """One line, composed, without the marks that nobody sees."""
    return " ".join(unicodedata.normalize("NFC", cell.replace("\ufeff", "").replace("\u200b", "")).split())


def _plain(heading: str) -> str:
    return "".join(x for x in heading.casefold() if x.isalnum())


_FIELDS = {_plain(spelling): field for field, spellings in HEADINGS.items() for spelling in spellings.split()}


def _bad(sentence: str, **values: object) -> Declined:
    return Declined(422, "bad_file", sentence, **values)
