"""Files of formats that are not text, made small and by hand, and files that are made to do harm."""

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence

import docx
from pypdf import PdfReader, PdfWriter
from pypdf.generic import IndirectObject


def pdf(pages: Sequence[Sequence[str]], outline: Sequence[tuple[str, int, int]] = (), *, password: str = "") -> bytes:
    """Each page as its lines; an outline's entries as text, page from 1, and level from 1."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(plain_pdf(pages))))
    above: dict[int, IndirectObject] = {}
    for text, page, level in outline:
        above[level] = writer.add_outline_item(title=text, page_number=page - 1, parent=above.get(level - 1))
    writer.add_metadata({"/Title": "The Manual", "/Author": "Ann", "/CreationDate": "D:20240102030405Z"})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def plain_pdf(pages: Sequence[Sequence[str]], streams: Mapping[int, bytes] | None = None) -> bytes:
    """`streams` are compressed contents that stand in for those of the page with that index."""
    bodies = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    bodies.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode())
    bodies.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for number, lines in enumerate(pages):
        shown = " 0 -14 Td ".join(f"({line}) Tj" for line in lines)
        content = (streams or {}).get(number) or zlib.compress(f"BT /F1 12 Tf 72 720 Td {shown} ET".encode())
        bodies.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * number} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        head = f"<< /Length {len(content)} /Filter /FlateDecode >>\nstream\n".encode()
        bodies.append(head + content + b"\nendstream")
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(bodies, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    end = len(out)
    out += f"xref\n0 {len(bodies) + 1}\n0000000000 65535 f \n{table}".encode()
    out += f"trailer << /Size {len(bodies) + 1} /Root 1 0 R >>\nstartxref\n{end}\n%%EOF".encode()
    return bytes(out)


def word() -> bytes:
    made = docx.Document()
    made.add_heading("The Report", 0)
    made.add_paragraph("What it is about. " * 20)
    made.add_heading("Part one", 1)
    made.add_paragraph("First point", style="List Bullet")
    made.add_paragraph("Second point", style="List Bullet")
    table = made.add_table(rows=2, cols=2)
    for row in range(2):
        for column in range(2):
            table.cell(row, column).text = f"cell {row}\n{column}"
    made.add_heading("Detail", 2)
    made.add_paragraph("In detail. " * 130)
    made.core_properties.author = "Ann"
    made.core_properties.keywords = "alpha, beta"
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def word_with(document: bytes) -> bytes:
    """A DOCX whose text part is these bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(word())) as archive, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name in archive.namelist():
            made.writestr(name, document if name == "word/document.xml" else archive.read(name))
    return out.getvalue()


def billion_laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 11))
    return (
        f'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY l0 "ha">{entities}]>'
        '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        "<w:body><w:p><w:r><w:t>&l10;</w:t></w:r></w:p></w:body></w:document>"
    ).encode()
